#include "actors/adaptation_search.hpp"

#include <caf/send.hpp>

#include <utility>
#include <variant>

#include "actors/common_errors.hpp"
#include "actors/expert_pool_job.hpp"
#include "actors/function_job.hpp"

namespace t2 {

adaptation_search_state::~adaptation_search_state() {
  if (assignment_.others && assignment_.others->engine) {
    caf::anon_send(assignment_.others->engine, cancel_atom_v, assignment_.id);
  }
  if (assignment_.card) assignment_.card->meters->forget(assignment_.id);
}

auto adaptation_search_state::failing(const char* whom) {
  return [this, whom](const caf::error& e) {
    const error why = from_caf(e, whom);
    if (concluding_ && why.code == ec::cancelled && engine_works_)
      return settle();
    end(why);
  };
}

/// Goes on in failing(), or where the engine has answered before it heard.
void adaptation_search_state::conclude() {
  if (std::exchange(concluding_, true) || !engine_works_) return;
  self_->send(assignment_.others->engine, cancel_atom_v, assignment_.id);
}

/// On the engine's thread, as all of the search's arithmetic.
void adaptation_search_state::settle() {
  engine_works_ = false;
  const auto job = make_job([search = run_](language_model&) {
    search->expire();
    return false;
  });
  self_->request(assignment_.others->engine, caf::infinite, run_atom_v,
                 assignment_.id, engine_job_ref(job))
      .then([this](bool) { store(); }, failing(engine_name));
}

void adaptation_search_state::fetch_experts() {
  self_->request(assignment_.others->store, caf::infinite, load_atom_v,
                 assignment_.plan->experts)
      .then([this](const expert_versions_ref& versions) {
              make_pool(*versions);
            },
            failing(store_name));
}

void adaptation_search_state::make_pool(
    const std::vector<store_expert_version>& versions) {
  const auto job = std::make_shared<expert_pool_job>(versions);
  engine_works_ = true;
  self_->request(assignment_.others->engine, caf::infinite, run_atom_v,
                 assignment_.id, engine_job_ref(job))
      .then([this, job](bool) {
              if (!job->outcome()) return end(job->outcome().error());
              if (concluding_) return settle();
              run([search = run_, model = assignment_.card->model,
                   pool = *job->outcome()](language_model&) {
                return search->prepare(model, pool);
              });
            },
            failing(engine_name));
}

void adaptation_search_state::advance() {
  run([search = run_](language_model&) { return search->advance(); });
}

void adaptation_search_state::run(std::function<bool(language_model&)> work) {
  self_->request(assignment_.others->engine, caf::infinite, run_atom_v,
                 assignment_.id, engine_job_ref(make_job(std::move(work))))
      .then([this](bool) { go_on(); }, failing(engine_name));
}

void adaptation_search_state::go_on() {
  if (concluding_) return settle();
  if (!run_->work()) return end(run_->work().error());
  report();
  const search_work& work = *run_->work();
  if (const auto* scoring = std::get_if<score_work>(&work)) {
    score(*scoring);
  } else if (const auto* generating = std::get_if<generate_work>(&work)) {
    generate(*generating);
  } else {
    store();
  }
}

void adaptation_search_state::score(const score_work& work) {
  self_->request(assignment_.others->engine, caf::infinite, score_atom_v,
                 assignment_.id,
                 scoring_request_ref(std::make_shared<scoring_request>(
                     scoring_request{.rows = work.rows,
                                     .urgency = priority::background,
                                     .shared_prefix = 0})))
      .then([this](const row_scores_ref& scores) {
              if (concluding_) return settle();
              run_->take(scores);
              advance();
            },
            failing(engine_name));
}

void adaptation_search_state::generate(const generate_work& work) {
  self_->request(assignment_.others->engine, caf::infinite, generate_atom_v,
                 assignment_.id,
                 generation_batch_ref(
                     std::make_shared<std::vector<generation_request>>(
                         work.requests)))
      .then([this](const search_answers_ref& answers) {
              if (concluding_) return settle();
              run_->take(answers);
              advance();
            },
            failing(engine_name));
}

void adaptation_search_state::store() {
  engine_works_ = false;
  auto record = run_->outcome(assignment_.card->base.fingerprint);
  if (!record) return end(record.error());
  // A task stays as it was: what was not searched to its end refutes nothing.
  if (concluding_ && !record->accepted)
    return end(error{ec::cancelled,
                     "the search for task " + assignment_.plan->task.name +
                         " stopped at iteration " +
                         std::to_string(run_->progress().iteration) + " of " +
                         std::to_string(run_->progress().iterations) +
                         ": nothing is believed to be better than the base by "
                         "now, and nothing is stored"});
  self_->request(assignment_.others->store, caf::infinite, keep_atom_v, *record,
                 assignment_.plan->caller)
      .then([this](const store_adaptation& kept) { end(kept); },
            failing(store_name));
}

void adaptation_search_state::report() {
  const few_shot_progress now = run_->progress();
  self_->send(assignment_.reports_to, progress_atom_v, assignment_.plan->key,
              adapt_progress{.iteration = now.iteration,
                             .iterations = now.iterations,
                             .best_score = now.best_log_likelihood,
                             .base_score = now.base_log_likelihood,
                             .tokens = now.tokens,
                             .seconds = now.seconds});
}

void adaptation_search_state::end(result<store_adaptation> outcome) {
  promise_.keep(std::move(outcome));
  self_->quit();
}

adaptation_search_actor::behavior_type adaptation_search_state::make_behavior(
    search_assignment assignment, reward_options rewards) {
  assignment_ = std::move(assignment);
  run_ = std::make_shared<search_run>(
      assignment_.plan, std::move(rewards),
      [meters = assignment_.card->meters, t = assignment_.id] {
        return meters->of(t);
      });
  return {[this](run_atom) -> caf::result<store_adaptation> {
            const auto promise =
                self_->make_response_promise<store_adaptation>();
            promise_ = {promise, "the search"};
            fetch_experts();
            return promise;
          },
          [this](conclude_atom) { conclude(); }};
}

adaptation_search_actor::behavior_type run_adaptation_search(
    adaptation_search* self, search_assignment assignment,
    reward_options rewards) {
  return self->state.make_behavior(std::move(assignment), std::move(rewards));
}

}  // namespace t2
