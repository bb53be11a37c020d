#include "store/adaptation_rows.hpp"
#include "store/audit_log.hpp"
#include "store/expert_rows.hpp"
#include "store/expert_store_state.hpp"
#include "store/record_validation.hpp"
#include "store/task_rows.hpp"

namespace t2 {
namespace {

void require_base(const std::string& what, const std::string& found,
                  const std::string& expected) {
  if (found == expected) return;
  fail(ec::incompatible,
       what + ": expected base " + expected + ", found " + found);
}

void require_references(sqlite_database& db,
                        const store_adaptation& adaptation) {
  load_base_model(db, adaptation.base);
  if (adaptation.task_id) {
    const store_task task = load_task(db, *adaptation.task_id);
    require_base("task '" + task.name + "'", task.base, adaptation.base);
  }
  for (const store_version_ref& used : adaptation.used) {
    const store_expert expert = load_expert(db, used.expert, true).record;
    require_base("expert '" + expert.name + "'", expert.base, adaptation.base);
    load_version(db, expert, used.version, false);
  }
}

void require_references(sqlite_database& db,
                        const store_evaluation& evaluation) {
  load_base_model(db, evaluation.base);
  if (evaluation.task_id) {
    const store_task task = load_task(db, *evaluation.task_id);
    require_base("task '" + task.name + "'", task.base, evaluation.base);
  }
  if (evaluation.adaptation_id) {
    const auto adaptation = load_adaptation(db, *evaluation.adaptation_id);
    require_base("adaptation " + adaptation.key, adaptation.base,
                 evaluation.base);
  }
}

store_adaptation load_by_key(sqlite_database& db, std::string_view key) {
  auto found = find_adaptation_row(db, key);
  if (!found) {
    fail(ec::not_found, "store " + db.label() + ": no adaptation with key '" +
                            std::string(key.substr(0, 80)) + "'");
  }
  return *std::move(found);
}

std::vector<store_adaptation> load_all(sqlite_database& db,
                                       std::optional<std::int64_t> task_id) {
  std::vector<store_adaptation> adaptations;
  for (const std::int64_t id : adaptation_ids(db, task_id)) {
    adaptations.push_back(load_adaptation(db, id));
  }
  return adaptations;
}

// An evaluation says what it measured; without its adaptation it says nothing
// about a later one of the same id.
void detach_from_adaptation(sqlite_database& db, std::int64_t adaptation_id) {
  for (const std::int64_t id : evaluation_ids(db)) {
    store_evaluation evaluation = load_evaluation(db, id);
    if (evaluation.adaptation_id != adaptation_id) continue;
    evaluation.adaptation_id.reset();
    update_evaluation(db, evaluation);
  }
}

}  // namespace

result<store_adaptation> expert_store::put_adaptation(
    const store_adaptation& adaptation) {
  return state_->change([&](sqlite_database& db) {
    require_valid(db, adaptation);
    require_references(db, adaptation);
    store_adaptation stored = adaptation;
    stored.created = state_->options.clock();
    const auto before = find_adaptation_row(db, stored.key);
    if (before && !before->truncated) {
      fail(ec::already_exists,
           "adaptation " + stored.key + " is there already");
    }
    if (before) {
      stored.id = before->id;
      detach_from_adaptation(db, stored.id);
      update_adaptation(db, stored);
    } else {
      stored.id = insert_adaptation(db, stored);
    }
    append_audit(
        db, stored.created, before ? "replace_adaptation" : "put_adaptation",
        stored.key,
        state_->detail(std::string("\"accepted\":") +
                       (stored.accepted ? "true" : "false") +
                       ",\"truncated\":" +
                       (stored.truncated ? "true" : "false")));
    return stored;
  });
}

result<store_adaptation> expert_store::find_adaptation(std::string_view key) {
  return state_->read(
      [&](sqlite_database& db) { return load_by_key(db, key); });
}

result<std::vector<store_adaptation>> expert_store::list_adaptations(
    std::int64_t task_id) {
  return state_->read(
      [&](sqlite_database& db) { return load_all(db, task_id); });
}

result<std::vector<store_adaptation>> expert_store::list_adaptations() {
  return state_->read([](sqlite_database& db) { return load_all(db, {}); });
}

result<void> expert_store::remove_adaptation(std::string_view key) {
  return state_->change([&](sqlite_database& db) {
    const store_adaptation adaptation = load_by_key(db, key);
    detach_from_adaptation(db, adaptation.id);
    delete_adaptation(db, adaptation.id);
    append_audit(db, state_->options.clock(), "remove_adaptation", key,
                 state_->detail());
  });
}

result<store_evaluation> expert_store::put_evaluation(
    const store_evaluation& evaluation) {
  return state_->change([&](sqlite_database& db) {
    require_valid(db, evaluation);
    require_references(db, evaluation);
    store_evaluation stored = evaluation;
    stored.created = state_->options.clock();
    stored.id = insert_evaluation(db, stored);
    append_audit(db, stored.created, "put_evaluation",
                 std::to_string(stored.id), state_->detail());
    return stored;
  });
}

result<std::vector<store_evaluation>> expert_store::list_evaluations() {
  return state_->read([](sqlite_database& db) {
    std::vector<store_evaluation> evaluations;
    for (const std::int64_t id : evaluation_ids(db)) {
      evaluations.push_back(load_evaluation(db, id));
    }
    return evaluations;
  });
}

}  // namespace t2
