#include "store/adaptation_rows.hpp"
#include "store/audit_log.hpp"
#include "store/expert_rows.hpp"
#include "store/expert_store_state.hpp"
#include "store/record_validation.hpp"
#include "store/task_rows.hpp"

namespace t2 {
namespace {

void detach_from_task(sqlite_database& db, std::int64_t task_id) {
  for (const std::int64_t id : adaptation_ids(db, task_id)) {
    store_adaptation adaptation = load_adaptation(db, id);
    adaptation.task_id.reset();
    update_adaptation(db, adaptation);
  }
  for (const std::int64_t id : evaluation_ids(db)) {
    store_evaluation evaluation = load_evaluation(db, id);
    if (evaluation.task_id != task_id) continue;
    evaluation.task_id.reset();
    update_evaluation(db, evaluation);
  }
}

}  // namespace

result<store_task> expert_store::add_task(const store_task& task) {
  return state_->change([&](sqlite_database& db) {
    require_valid(db, task);
    load_base_model(db, task.base);
    if (find_task(db, task.name)) {
      fail(ec::already_exists, "task '" + task.name + "' is there already");
    }
    store_task stored = task;
    stored.created = state_->options.clock();
    stored.id = insert_task(db, stored);
    append_audit(db, stored.created, "add_task", task.name,
                 state_->detail());
    return stored;
  });
}

result<store_task> expert_store::get_task(std::string_view name) {
  return state_->read([&](sqlite_database& db) { return load_task(db, name); });
}

result<store_task> expert_store::get_task(std::int64_t id) {
  return state_->read([&](sqlite_database& db) { return load_task(db, id); });
}

result<std::vector<store_task>> expert_store::list_tasks() {
  return state_->read([](sqlite_database& db) {
    std::vector<store_task> tasks;
    for (const std::string& name : task_names(db)) {
      tasks.push_back(load_task(db, name));
    }
    return tasks;
  });
}

result<void> expert_store::remove_task(std::string_view name) {
  return state_->change([&](sqlite_database& db) {
    const store_task task = load_task(db, name);
    detach_from_task(db, task.id);
    delete_task(db, task.id);
    append_audit(db, state_->options.clock(), "remove_task", name,
                 state_->detail());
  });
}

}  // namespace t2
