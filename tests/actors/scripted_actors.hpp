#pragma once

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "actors/kept_promise.hpp"
#include "actors/protocol.hpp"
#include "actors/runtime.hpp"

namespace t2 {

/// Actors on one thread under a clock that the test moves. Neighbours of the
/// actor under test are scripted: they speak the same protocol and answer when
/// the test says so.
class virtual_time : public testing::Test {
 protected:
  struct configuration : actor_configuration {
    configuration() { set("scheduler.policy", caf::atom("testing")); }
  };

  virtual_time()
      : system_(configuration_),
        scheduler_(dynamic_cast<caf::scheduler::test_coordinator&>(
            system_.scheduler())) {}
  ~virtual_time() override {
    run();
    scheduler_.inline_all_enqueues();
  }

  void run() { scheduler_.run(); }
  void pass(std::chrono::milliseconds time) {
    scheduler_.advance_time(time);
    run();
  }
  template <class Handle, class... Args>
  void tell(const Handle& whom, Args&&... args) {
    caf::anon_send(whom, std::forward<Args>(args)...);
    run();
  }
  template <class Handle>
  void kill(const Handle& whom) {
    caf::anon_send_exit(whom, caf::exit_reason::kill);
    run();
  }

  configuration configuration_;
  caf::actor_system system_;
  caf::scheduler::test_coordinator& scheduler_;
};

/// What a request has called back.
template <class Part, class Final>
struct heard {
  heard() = default;
  heard(const heard&) = delete;
  heard& operator=(const heard&) = delete;
  ~heard() { *alive = nullptr; }

  std::vector<Part> parts;
  std::vector<Final> finals;
  std::vector<error> errors;

  std::size_t ends() const { return finals.size() + errors.size(); }
  ec code() const {
    return errors.size() == 1 && finals.empty() ? errors.front().code
                                                : ec::none;
  }

  /// What a test leaves unfinished calls back after its end.
  std::shared_ptr<heard*> alive = std::make_shared<heard*>(this);
};

template <class Part, class Final>
std::shared_ptr<const stream_sink<Part, Final>> listen(
    heard<Part, Final>& ear) {
  return std::make_shared<stream_sink<Part, Final>>(
      [ear = ear.alive](Part p) {
        if (*ear) (*ear)->parts.push_back(std::move(p));
      },
      [ear = ear.alive](result<Final> r) {
        if (!*ear) return;
        if (r) {
          (*ear)->finals.push_back(std::move(*r));
        } else {
          (*ear)->errors.push_back(r.error());
        }
      },
      "the request");
}

struct engine_script {
  std::shared_ptr<language_model> model;  // on its card; may be null
  std::optional<error> load_failure;
  bool loading = false;  // the card comes with the next step_atom
  std::vector<answer_request_ref> answers;  // asked for, oldest first
  std::vector<ticket> cancelled;
  std::size_t mixes = 0;
  bool hold_mixings = false;  // a mixture comes with the next step_atom
};

/// What a scripted engine owes; ends with the actor.
struct engine_debts {
  static inline const char* name = "scripted_engine";
  std::vector<std::pair<ticket, kept_promise<answer_part>>> open;
  std::vector<kept_promise<model_card_ref>> cards;
  std::vector<kept_promise<ready_mixture>> mixings;
};

inline model_card_ref scripted_card(const engine_script& script) {
  model_card card;
  card.model = script.model;
  card.base = {.fingerprint = std::string(64, 'a'), .name = "scripted"};
  return std::make_shared<const model_card>(card);
}

/// Answers all that is open when it hears step_atom.
inline generation_engine_actor::behavior_type scripted_engine(
    caf::stateful_actor<engine_debts, generation_engine_actor::base>* self,
    engine_script* script) {
  const auto card = [script]() -> result<model_card_ref> {
    if (script->load_failure) return *script->load_failure;
    return scripted_card(*script);
  };
  return {
      [=](card_atom) -> caf::result<model_card_ref> {
        const auto promise = self->make_response_promise<model_card_ref>();
        kept_promise<model_card_ref> kept(promise, "the engine");
        if (script->loading) {
          self->state.cards.push_back(std::move(kept));
        } else {
          kept.keep(card());
        }
        return promise;
      },
      [=](answer_atom, ticket t,
          const answer_request_ref& request) -> caf::result<answer_part> {
        const auto promise = self->make_response_promise<answer_part>();
        script->answers.push_back(request);
        self->state.open.emplace_back(
            t, kept_promise<answer_part>(promise, "the engine"));
        return promise;
      },
      [](score_atom, ticket,
         const scoring_request_ref& request) -> caf::result<row_scores_ref> {
        return std::make_shared<const std::vector<row_score>>(
            request->rows.size());
      },
      [](generate_atom, ticket, const generation_batch_ref& batch)
          -> caf::result<search_answers_ref> {
        return std::make_shared<const std::vector<search_answer>>(
            batch->size());
      },
      [](run_atom, ticket, const engine_job_ref&) -> caf::result<bool> {
        return true;
      },
      [=](mix_atom, ticket,
          const mixing_request_ref&) -> caf::result<ready_mixture> {
        ++script->mixes;
        const auto promise = self->make_response_promise<ready_mixture>();
        kept_promise<ready_mixture> kept(promise, "the engine");
        if (script->hold_mixings) {
          self->state.mixings.push_back(std::move(kept));
        } else {
          kept.keep(ready_mixture{nullptr, 8});
        }
        return promise;
      },
      [=](cancel_atom, ticket t) {
        script->cancelled.push_back(t);
        for (auto& [id, promise] : self->state.open) {
          if (id == t) promise.keep(error{ec::cancelled, "cancelled"});
        }
      },
      [](statistics_atom) { return engine_statistics{}; },
      [](read_atom) {},
      [](tick_atom) {},
      [=](step_atom) {
        script->loading = false;
        for (auto& promise : std::exchange(self->state.cards, {})) {
          promise.keep(card());
        }
        for (auto& promise : std::exchange(self->state.mixings, {})) {
          promise.keep(ready_mixture{nullptr, 8});
        }
        for (auto& [id, promise] : std::exchange(
                 self->state.open, {})) {
          answer_part last;
          last.finish_reason = "stop";
          promise.keep(last);
        }
      },
  };
}

struct store_script {
  std::map<std::string, route_plan> routes;
  std::vector<std::string> labels;  // that lead somewhere
  std::vector<std::string> asked_routes;
  std::optional<store_adaptation> found;
  std::string key = "key";
  std::vector<store_base_model> bases;
};

inline expert_store_actor::behavior_type scripted_store(
    expert_store_actor::pointer, store_script* script) {
  const error no{ec::not_found, "the script has none"};
  return {
      [=](put_base_atom, const store_base_model& base) {
        script->bases.push_back(base);
        return true;
      },
      [](add_task_atom, const store_base_model&, const store_task_ref& task,
         const std::string&) { return *task; },
      [](tasks_atom) { return std::vector<store_task>{}; },
      [=](get_task_atom, const std::string&) -> caf::result<store_task> {
        return to_caf(no);
      },
      [](remove_task_atom, const std::string&, const std::string&) {
        return true;
      },
      [](adaptations_atom, const std::string&) {
        return std::vector<store_adaptation>{};
      },
      [](experts_atom) { return std::vector<store_expert>{}; },
      [](history_atom, const std::string&) {
        return std::vector<store_expert_version>{};
      },
      [=](get_expert_atom,
          const std::string&) -> caf::result<expert_version_ref> {
        return to_caf(no);
      },
      [=](publish_atom,
          const publication_ref&) -> caf::result<expert_version_ref> {
        return to_caf(no);
      },
      [=](rollback_atom, const std::string&, std::int64_t,
          const std::string&) -> caf::result<store_expert> {
        return to_caf(no);
      },
      [](remove_expert_atom, const std::string&, const std::string&) {
        return true;
      },
      [=](resolve_atom, const std::string& target,
          const std::string&) -> caf::result<route_plan> {
        script->asked_routes.push_back(target);
        const auto found = script->routes.find(target);
        if (found == script->routes.end()) return to_caf(no);
        return found->second;
      },
      [=](labels_atom, const std::vector<query_label>& configured,
          const std::string&) -> label_table_ref {
        return std::make_shared<const label_table>(
            label_table{configured, !script->labels.empty()});
      },
      [](load_atom, const mixture&) -> caf::result<expert_versions_ref> {
        return std::make_shared<const std::vector<store_expert_version>>();
      },
      [=](plan_atom, const adapt_request_ref& request,
          const store_base_model&) {
        adaptation_plan plan;
        plan.task.name = request->task;
        plan.key = script->key;
        plan.found = script->found;
        return plan;
      },
      [](keep_atom, const store_adaptation& adaptation, const std::string&) {
        return adaptation;
      },
      [](seen_atom, const std::string&) { return std::vector<seen_by>{}; },
      [](evaluate_atom, const store_base_model&,
         const finished_evaluation_ref&) { return store_evaluation{}; },
      [](evaluations_atom) { return std::vector<store_evaluation>{}; },
      [](check_atom) { return std::vector<std::string>{}; },
      [](backup_atom, const std::string& path) { return path; },
      [](audit_atom, std::int64_t) { return std::vector<audit_entry>{}; },
  };
}

struct classifier_script {
  classification answer{.label = "code", .confidence = 0.75,
                        .probabilities = {0.75, 0.15, 0.1}};
  std::size_t asked = 0;
};

inline prompt_classifier_actor::behavior_type scripted_classifier(
    prompt_classifier_actor::pointer, classifier_script* script) {
  return {
      [=](classify_atom, ticket, const classify_request_ref&) {
        ++script->asked;
        return script->answer;
      },
      [](cancel_atom, ticket) {},
      [](peers_atom, const peers_ref&) {},
  };
}

}  // namespace t2
