#include "actors/expert_store_actor.hpp"


#include <memory>
#include <utility>

#include "actors/route_plan.hpp"
#include "actors/seen_plan.hpp"
#include "config/logging.hpp"

namespace t2 {
namespace {

caf::result<bool> done(const result<void>& outcome) {
  if (!outcome) return to_caf(outcome.error());
  return true;
}

template <class T>
caf::result<shared<T>> as_shared(result<T> outcome) {
  if (!outcome) return to_caf(outcome.error());
  return std::make_shared<const T>(std::move(*outcome));
}

result<store_task> add_task(expert_store& store, const store_base_model& base,
                            store_task task, const reward_options& rewards) {
  task.base = base.fingerprint;
  if (const auto good = check_task(task, rewards); !good) return good.error();
  if (const auto good = check_label(store, task); !good) return good.error();
  if (const auto put = store.put_base_model(base); !put) return put.error();
  return store.add_task(task);
}

result<std::vector<store_adaptation>> adaptations(expert_store& store,
                                                  const std::string& name) {
  const auto task = store.get_task(name);
  if (!task) return task.error();
  return store.list_adaptations(task->id);
}

result<store_expert_version> publish(expert_store& store,
                                     const publication& p) {
  if (const auto put = store.put_base_model(p.base); !put) return put.error();
  return store.publish(p.name, p.base.fingerprint, p.version);
}

result<adaptation_plan> plan(expert_store& store, const adapt_request& request,
                             const store_base_model& base) {
  if (const auto put = store.put_base_model(base); !put) return put.error();
  return plan_adaptation(store, request, base.fingerprint);
}

result<store_evaluation> evaluate(expert_store& store,
                                  const store_base_model& base,
                                  const finished_evaluation& measured) {
  if (const auto put = store.put_base_model(base); !put) return put.error();
  return keep_evaluation(store, measured, base.fingerprint);
}

result<std::string> backup(expert_store& store, const std::string& path) {
  if (const auto made = store.backup(path); !made) return made.error();
  return path;
}

}  // namespace

expert_store& expert_store_actor_state::acting_for(const std::string& caller) {
  store_->act_for(caller);
  return *store_;
}

expert_store_actor::behavior_type expert_store_actor_state::make_behavior(
    const store_opener& open, reward_options rewards) {
  rewards_ = std::move(rewards);
  auto opened = open();
  if (!opened) {
    log(log_level::error, "the expert store: " + opened.error().message);
    self_->quit(to_caf(opened.error()));
    return expert_store_actor::behavior_type::make_empty_behavior();
  }
  store_.emplace(std::move(*opened));
  return {
      [this](put_base_atom, const store_base_model& base) {
        return done(acting_for({}).put_base_model(base));
      },
      [this](add_task_atom, const store_base_model& base,
             const store_task_ref& task, const std::string& caller) {
        return to_caf(add_task(acting_for(caller), base, *task, rewards_));
      },
      [this](tasks_atom) { return to_caf(store_->list_tasks()); },
      [this](get_task_atom, const std::string& which) {
        return to_caf(store_->get_task(which));
      },
      [this](remove_task_atom, const std::string& which,
             const std::string& caller) {
        return done(acting_for(caller).remove_task(which));
      },
      [this](adaptations_atom, const std::string& task) {
        return to_caf(adaptations(*store_, task));
      },
      [this](experts_atom) { return to_caf(store_->list_experts()); },
      [this](history_atom, const std::string& which) {
        return to_caf(store_->history(which));
      },
      [this](get_expert_atom, const std::string& reference) {
        return as_shared(store_->get_version(reference));
      },
      [this](publish_atom, const publication_ref& p) {
        return as_shared(publish(acting_for(p->caller), *p));
      },
      [this](rollback_atom, const std::string& which, std::int64_t version,
             const std::string& caller) {
        return to_caf(acting_for(caller).rollback(which, version));
      },
      [this](remove_expert_atom, const std::string& which,
             const std::string& caller) {
        return done(acting_for(caller).remove_expert(which));
      },
      [this](resolve_atom, const std::string& target, const std::string& base) {
        return to_caf(resolve_route(*store_, target, base));
      },
      [this](labels_atom, const std::vector<query_label>& labels,
             const std::string& base) {
        return as_shared(find_labels(*store_, labels, base));
      },
      [this](load_atom, const mixture& m) {
        return as_shared(load_versions(*store_, m));
      },
      [this](plan_atom, const adapt_request_ref& request,
             const store_base_model& base) {
        return to_caf(plan(acting_for(request->caller), *request, base));
      },
      [this](keep_atom, const store_adaptation& adaptation,
             const std::string& caller) {
        return to_caf(keep_adaptation(acting_for(caller), adaptation));
      },
      [this](check_atom) { return to_caf(store_->check()); },
      [this](backup_atom, const std::string& path) {
        return to_caf(backup(*store_, path));
      },
      [this](seen_atom, const std::string& target) {
        return to_caf(seen_by_target(*store_, target));
      },
      [this](evaluate_atom, const store_base_model& base,
             const finished_evaluation_ref& measured) {
        return to_caf(
            evaluate(acting_for(measured->caller), base, *measured));
      },
      [this](evaluations_atom) { return to_caf(store_->list_evaluations()); },
      [this](audit_atom, std::int64_t last) {
        return to_caf(store_->audit(last));
      },
  };
}

expert_store_actor::behavior_type run_expert_store(stateful_expert_store* self,
                                                   store_opener open,
                                                   reward_options rewards) {
  return self->state.make_behavior(open, std::move(rewards));
}

}  // namespace t2
