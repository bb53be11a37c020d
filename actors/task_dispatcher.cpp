#include "actors/task_dispatcher.hpp"

#include <caf/send.hpp>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <utility>

#include "actors/common_errors.hpp"
#include "actors/internal_ticket.hpp"
#include "config/logging.hpp"

namespace t2 {
namespace {

constexpr const char* classifier_name = "the prompt classifier";
constexpr const char* search_name = "the search";
constexpr std::chrono::milliseconds hold_time{100};

error stopping() { return {ec::unavailable, "t2 is stopping"}; }

/// Callers share what there is, and so do one caller's queries for several
/// targets; versions of an expert are one.
flow_id flow_of(const query& question) {
  const std::hash<std::string_view> number;
  const std::string_view target = question.target;
  return {.caller = number(question.caller),
          .target = number(target.substr(0, target.find('@')))};
}

}  // namespace

task_dispatcher_state::task_dispatcher_state(pointer self) : self_(self) {}

task_dispatcher_state::~task_dispatcher_state() {
  // The others go on living: what they do for us has lost its purpose.
  for (const auto& [t, q] : queries_) withdraw(t, q);
  for (const auto& [key, searcher] : searchers_) {
    caf::anon_send_exit(searcher, caf::exit_reason::kill);
  }
}

template <class Reply, class F>
auto task_dispatcher_state::resume(ticket t, F&& go_on) {
  return [this, t, go_on = std::forward<F>(go_on)](const Reply& reply) {
    const auto q = queries_.find(t);
    if (q != queries_.end()) go_on(q->second, reply);
  };
}

auto task_dispatcher_state::failing(ticket t, const char* whom) {
  return [this, t, whom](const caf::error& e) { end(t, from_caf(e, whom)); };
}

// --- queries ---------------------------------------------------------------

void task_dispatcher_state::ask(ticket t, const query_ref& question,
                                const answer_sink_ref& sink) {
  const auto refuse = [&](const error& why) { sink->finish(why); };
  if (draining_) return refuse(stopping());
  if (failure_) return refuse(*failure_);
  if (question->target.starts_with(label_prefix)) {
    // Only pass 1 names labels: any of them leads somewhere.
    return refuse({ec::not_found,
                   "no task '" + question->target +
                       "'; expected a task's name, base, auto or expert:NAME"});
  }
  std::chrono::duration<double> limit = options_.deadline;
  if (question->deadline_seconds) {
    limit = std::min(
        limit, std::chrono::duration<double>(*question->deadline_seconds));
  }
  const steady_time deadline =
      self_->clock().now() +
      std::chrono::duration_cast<steady_time::duration>(limit);
  if (const auto in = queue_->enter(t, deadline, flow_of(*question)); !in) {
    return refuse(in.error());
  }
  queries_[t] = {.question = question, .sink = sink, .deadline = deadline};
  pump();
  arm();
}

void task_dispatcher_state::pump() {
  // One that ends at once would pump the next from inside: however many wait.
  if (std::exchange(pumping_, true)) return;
  while (card_ && peers_ && peers_->store && peers_->engine &&
         self_->clock().now() >= hold_until_) {
    const auto t = queue_->next();
    if (!t) break;
    begin(*t, queries_.at(*t));
  }
  pumping_ = false;
}

void task_dispatcher_state::begin(ticket t, live_query& q) {
  q.at = stage::routing;
  const std::size_t bytes = text_bytes(*q.question);
  if (bytes > card_->most_text_bytes) {
    return end(t, error{ec::invalid_argument,
                        "prompt: expected at most " +
                            std::to_string(card_->most_text_bytes) +
                            " bytes for the model's context, found " +
                            std::to_string(bytes)});
  }
  const std::string& target = q.question->target;
  if (target == "auto:prompt") return begin_pass_1(t, q, "prompt");
  if (target == "auto:classifier") return begin_pass_1(t, q, "classifier");
  if (!target.empty() && target != "auto") return find_route(t, q, target);
  begin_pass_1(t, q, options_.strategy);
}

void task_dispatcher_state::begin_pass_1(ticket t, live_query& q,
                                         const std::string& strategy) {
  if (strategy == "base") {
    return stay_on_base(t, q, "route.strategy says base");
  }
  q.pass_1 = strategy;
  if (strategy == "auto") {
    q.pass_1 = options_.classifier.empty() ? "prompt" : "classifier";
  }
  q.table = routes_.labels();
  if (!q.table) return find_labels(t, strategy);
  if (!q.table->leads) {
    return stay_on_base(t, q, "no class leads to a task or an expert");
  }
  if (q.pass_1 == "prompt") return classify(t, q, nullptr);
  if (options_.classifier.empty()) {
    return end(t, error{ec::invalid_argument,
                        "route.classifier: expected the expert that "
                        "classifies, found none"});
  }
  q.at = stage::preparing_pass_1;
  find_route(t, q, "expert:" + options_.classifier);
}

void task_dispatcher_state::find_labels(ticket t,
                                        const std::string& strategy) {
  if (!peers_->store) return part_is_down(t, store_name);
  if (!card_) return part_is_down(t, engine_name);
  const auto epoch = routes_.epoch();
  self_->request(peers_->store, caf::infinite, labels_atom_v, options_.labels,
                 card_->base.fingerprint)
      .then(resume<label_table_ref>(
                t,
                [this, t, epoch, strategy](live_query& q,
                                           const label_table_ref& table) {
                  routes_.put_labels(table, epoch);
                  // In a new epoch they are asked for again.
                  begin_pass_1(t, q, strategy);
                }),
            failing(t, store_name));
}

void task_dispatcher_state::classify(ticket t, live_query& q,
                                     const delta_ref& delta) {
  if (!peers_->classifier) return part_is_down(t, classifier_name);
  q.at = stage::classifying;
  self_->request(peers_->classifier, caf::infinite, classify_atom_v, t,
                 classify_request_ref(std::make_shared<classify_request>(
                     classify_request{
                         *q.question, q.table, delta, flow_of(*q.question)})))
      .then(resume<classification>(
                t,
                [this, t](live_query& same, const classification& found) {
                  classified(t, same, found);
                }),
            failing(t, classifier_name));
}

void task_dispatcher_state::classified(ticket t, live_query& q,
                                       const classification& said) {
  q.said = said;
  q.at = stage::routing;
  if (said.confidence >= options_.confidence) {
    return find_route(t, q, std::string(label_prefix) + said.label);
  }
  char unsure[96];
  std::snprintf(unsure, sizeof unsure,
                "with %.2f, which is under route.confidence (%.2f)",
                said.confidence, options_.confidence);
  stay_on_base(t, q, "pass 1 says " + said.label + " " + unsure);
}

void task_dispatcher_state::stay_on_base(ticket t, live_query& q,
                                         std::string reason) {
  route_plan plan;
  plan.route.strategy = q.said ? q.pass_1 : "base";
  plan.route.label = q.said ? q.said->label : "";
  plan.route.reason = std::move(reason);
  plan.route.mixture = summary(plan.recipe);
  follow(t, q, plan);
}

void task_dispatcher_state::find_route(ticket t, live_query& q,
                                       const std::string& target) {
  if (const route_plan* known = routes_.find(target)) {
    return follow(t, q, *known);
  }
  if (!peers_->store) return part_is_down(t, store_name);
  if (!card_) return part_is_down(t, engine_name);
  const auto epoch = routes_.epoch();
  self_->request(peers_->store, caf::infinite, resolve_atom_v, target,
                 card_->base.fingerprint)
      .then(resume<route_plan>(
                t,
                [this, t, target, epoch](live_query& same,
                                         const route_plan& plan) {
                  routes_.put(target, plan, epoch);
                  follow(t, same, plan);
                }),
            failing(t, store_name));
}

void task_dispatcher_state::follow(ticket t, live_query& q,
                                   const route_plan& plan) {
  const std::string key = plan.mixture_key();
  if (q.at == stage::preparing_pass_1) {
    if (const auto ready = mixtures_->find(key)) return classify(t, q, *ready);
    return find_mixture(t, key, plan.recipe);
  }
  if (plan.undecided() && q.pass_1.empty() && options_.strategy != "base") {
    q.task = plan.route.task;
    q.form = plan.route.form;
    return begin_pass_1(t, q, options_.strategy);
  }
  q.route = plan.route;
  if (q.said) {
    q.route.strategy = q.pass_1;
    q.route.label = q.said->label;
    q.route.confidence = q.said->confidence;
    for (std::size_t i = 0; i < q.said->probabilities.size(); ++i) {
      q.route.probabilities.emplace_back(
          i < q.table->labels.size() ? q.table->labels[i].name
                                     : std::string(base_label),
          q.said->probabilities[i]);
    }
  }
  if (!q.task.empty()) {
    q.route.task = q.task;
    q.route.form = q.form;
    q.route.reason = "the task is not adapted; " + q.route.reason;
  }
  if (q.question->route_only) {
    return end(t, answer_part{.text = {},
                              .route = q.route,
                              .finish_reason = "routed"});
  }
  if (key.empty()) return answer(t, q, nullptr);
  if (const auto ready = mixtures_->find(key)) {
    q.route.from_cache = true;
    return answer(t, q, *ready);
  }
  q.at = stage::mixing;
  find_mixture(t, key, plan.recipe);
}

/// Goes on in mixture_made().
void task_dispatcher_state::find_mixture(ticket t, const std::string& key,
                                         const mixture& recipe) {
  if (mixing_.join(key, t, t)) make_mixture(key, recipe);
}

void task_dispatcher_state::make_mixture(const std::string& key,
                                         const mixture& recipe) {
  const auto fail = [this, key](const char* whom) {
    return [this, key, whom](const caf::error& e) {
      mixture_made(key, from_caf(e, whom));
    };
  };
  if (!peers_->store) return mixture_made(key, down_error(store_name));
  self_->request(peers_->store, caf::infinite, load_atom_v, recipe)
      .then(
          [this, key, recipe, fail](const expert_versions_ref& versions) {
            if (!peers_->engine) return mixture_made(key, down_error(engine_name));
            self_->request(peers_->engine, caf::infinite, mix_atom_v,
                           internal_ticket(),
                           mixing_request_ref(std::make_shared<mixing_request>(
                               mixing_request{recipe, *versions})))
                .then([this, key](const ready_mixture& made) {
                        mixture_made(key, made);
                      },
                      fail(engine_name));
          },
          fail(store_name));
}

void task_dispatcher_state::mixture_made(const std::string& key,
                                         const result<ready_mixture>& made) {
  if (made) mixtures_->put(key, made->delta, made->bytes);
  for (const ticket t : mixing_.land(key)) {
    const auto q = queries_.find(t);
    if (q == queries_.end()) continue;
    if (!made) {
      end(t, made.error());
    } else if (q->second.at == stage::preparing_pass_1) {
      classify(t, q->second, made->delta);
    } else {
      answer(t, q->second, made->delta);
    }
  }
}

void task_dispatcher_state::answer(ticket t, live_query& q,
                                   const delta_ref& delta) {
  if (!peers_->engine) return part_is_down(t, engine_name);
  q.at = stage::answering;
  auto request = std::make_shared<const answer_request>(
      answer_request{.question = *q.question,
                     .route = q.route,
                     .delta = delta,
                     .deadline = q.deadline,
                     .sink = q.sink,
                     .flow = flow_of(*q.question),
                     .cache_scope = options_.share_prefixes
                                        ? std::string{}
                                        : q.question->caller});
  self_->request(peers_->engine, caf::infinite, answer_atom_v, t,
                 answer_request_ref(std::move(request)))
      .then(resume<answer_part>(
                t,
                [this, t](live_query&, const answer_part& last) {
                  ++load_.answered;
                  end(t, last);
                }),
            failing(t, engine_name));
}

void task_dispatcher_state::end(ticket t, result<answer_part> outcome) {
  const auto q = queries_.extract(t);
  if (q.empty()) return;
  queue_->leave(t);
  mixing_.leave(t);
  if (!outcome && outcome.error().code == ec::unavailable) hold();
  q.mapped().sink->finish(std::move(outcome));
  pump();
  check_drained();
}

/// A part has died, and the supervisor's word of it comes later: those that wait
/// shall not follow into it.
void task_dispatcher_state::hold() {
  hold_until_ = self_->clock().now() + hold_time;
  self_->delayed_send(self_, hold_time, tick_atom_v);
}

void task_dispatcher_state::part_is_down(ticket t, const char* whom) {
  end(t, down_error(whom));
}

void task_dispatcher_state::give_up(ticket t, const error& why) {
  const auto q = queries_.find(t);
  if (q == queries_.end()) return;
  withdraw(t, q->second);
  end(t, why);
}

void task_dispatcher_state::withdraw(ticket t, const live_query& q) {
  if (!peers_) return;
  if (q.at == stage::answering && peers_->engine) {
    caf::anon_send(peers_->engine, cancel_atom_v, t);
  }
  if (q.at == stage::classifying && peers_->classifier) {
    caf::anon_send(peers_->classifier, cancel_atom_v, t);
  }
}

void task_dispatcher_state::arm() {
  const auto next = queue_->next_deadline();
  if (!next || (!armed_.empty() && *armed_.begin() <= *next)) return;
  armed_.insert(*next);
  const auto wait = std::max(*next - self_->clock().now(),
                             steady_time::duration::zero());
  self_->delayed_send(self_, wait, tick_atom_v);
}

void task_dispatcher_state::expire() {
  const steady_time now = self_->clock().now();
  armed_.erase(armed_.begin(), armed_.upper_bound(now));
  for (const ticket t : queue_->expire(now)) {
    give_up(t, late_error());
  }
  arm();
}

// --- adaptations -----------------------------------------------------------

void task_dispatcher_state::adapt(ticket t, const adapt_request_ref& request,
                                  const adapt_sink_ref& sink) {
  if (draining_ || failure_) {
    sink->finish(draining_ ? stopping() : *failure_);
    return;
  }
  asked_[t] = {request, sink};
  plan_all();
}

void task_dispatcher_state::plan_all() {
  if (!card_ || !peers_ || !peers_->store || !peers_->engine) return;
  for (auto& [id, asked] : asked_) {
    if (std::exchange(asked.planning, true)) continue;
    auto request = std::make_shared<adapt_request>(*asked.request);
    request->template_variables = card_->template_variables;
    asked.request = std::move(request);
    self_->request(peers_->store, caf::infinite, plan_atom_v, asked.request,
                   card_->base)
        .then([this, t = id](const adaptation_plan& plan) { planned(t, plan); },
              [this, t = id](const caf::error& e) {
                fail_adaptation(t, from_caf(e, store_name));
              });
  }
}

void task_dispatcher_state::planned(ticket t, const adaptation_plan& plan) {
  const auto asked = asked_.extract(t);
  if (asked.empty()) return;  // cancelled meanwhile
  if (!card_) {               // planned again once the engine is back
    asked_[t] = {asked.mapped().request, asked.mapped().sink};
    return;
  }
  const adapt_sink_ref& sink = asked.mapped().sink;
  if (plan.found) {
    ++load_.adaptations_reused;
    // It may just have become this task's own.
    routes_.forget();
    sink->finish(adapt_report{*plan.found, true});
    return check_drained();
  }
  if (!searches_.in_flight(plan.key) && searches_.size() >= options_.searches) {
    sink->finish(error{ec::busy, std::to_string(searches_.size()) +
                                     " searches are under way; try later"});
    return check_drained();
  }
  if (!searches_.join(plan.key, t, sink)) return;
  const auto searcher = options_.spawn_search(
      {.id = internal_ticket(),
       .plan = std::make_shared<const adaptation_plan>(plan),
       .others = peers_,
       .card = card_,
       .reports_to = self_});
  searchers_[plan.key] = searcher;
  self_->request(searcher, caf::infinite, run_atom_v)
      .then(
          [this, searcher, key = plan.key](const store_adaptation& found) {
            if (runs(key, searcher)) searched(key, found);
          },
          [this, searcher, key = plan.key](const caf::error& e) {
            if (runs(key, searcher)) searched(key, from_caf(e, search_name));
          });
}

bool task_dispatcher_state::runs(
    const std::string& key, const adaptation_search_actor& searcher) const {
  const auto found = searchers_.find(key);
  return found != searchers_.end() && found->second == searcher;
}

void task_dispatcher_state::searched(const std::string& key,
                                     result<store_adaptation> outcome) {
  searchers_.erase(key);
  if (outcome) {
    ++load_.adaptations_computed;
    routes_.forget();
  }
  for (const adapt_sink_ref& sink : searches_.land(key)) {
    if (outcome) {
      sink->finish(adapt_report{*outcome, false});
    } else {
      sink->finish(outcome.error());
    }
  }
  check_drained();
}

void task_dispatcher_state::fail_adaptation(ticket t, const error& why) {
  const auto asked = asked_.extract(t);
  if (!asked.empty()) asked.mapped().sink->finish(why);
  check_drained();
}

void task_dispatcher_state::leave_adaptation(ticket t) {
  fail_adaptation(t, cancelled_error());
  const auto left = searches_.leave(t);
  if (!left) return;
  left->waiter->finish(cancelled_error());
  if (!left->last) return;
  const auto searcher = searchers_.extract(left->key);
  if (!searcher.empty()) {
    self_->send_exit(searcher.mapped(), caf::exit_reason::user_shutdown);
  }
  check_drained();
}

void task_dispatcher_state::conclude(ticket t) {
  const auto key = searches_.alone(t);
  const auto searcher = key ? searchers_.find(*key) : searchers_.end();
  if (searcher != searchers_.end()) {
    self_->send(searcher->second, conclude_atom_v);
    return;  // its outcome lands as any other
  }
  give_up(t, cancelled_error());
  leave_adaptation(t);
}

// --- the whole -------------------------------------------------------------

void task_dispatcher_state::meet(const peers_ref& now) {
  const bool other_engine = !peers_ || peers_->engine != now->engine;
  const bool other_store = !peers_ || peers_->store != now->store;
  peers_ = now;
  hold_until_ = {};
  if (other_engine) {
    card_ = nullptr;
    failure_.reset();
    mixtures_->clear();
  }
  if (other_store) routes_.forget();
  if (other_engine && peers_->engine) {
    self_->request(peers_->engine, caf::infinite, card_atom_v)
        .then([this, engine = peers_->engine](const model_card_ref& card) {
                if (peers_->engine == engine) loaded(card);
              },
              [this, engine = peers_->engine](const caf::error& e) {
                // An engine that died comes back; a model that cannot be
                // loaded does not.
                if (peers_->engine != engine) return;
                if (e.category() != caf::atom("t2")) return;
                refuse_all(from_caf(e, engine_name));
              });
  }
  if (peers_->failed) refuse_all(*peers_->failed);
  pump();
  plan_all();
}

void task_dispatcher_state::refuse_all(const error& why) {
  failure_ = why;
  for (const auto t : queue_->all()) give_up(t, why);
  for (const auto& [t, asked] : std::exchange(asked_, {})) {
    asked.sink->finish(why);
  }
  check_drained();
}

void task_dispatcher_state::loaded(const model_card_ref& card) {
  card_ = card;
  if (peers_->store) {
    self_->request(peers_->store, caf::infinite, put_base_atom_v, card_->base)
        .then([](bool) {},
              [](const caf::error& e) {
                log(log_level::warn, "registering the base model: " +
                                         from_caf(e, store_name).message);
              });
  }
  pump();
  plan_all();
}

void task_dispatcher_state::cancel_all() {
  for (const auto t : queue_->all()) give_up(t, cancelled_error());
  std::vector<ticket> asked;
  for (const auto& [t, a] : asked_) asked.push_back(t);
  for (const ticket t : asked) fail_adaptation(t, cancelled_error());
  for (const auto& key : searches_.keys()) {
    const auto searcher = searchers_.extract(key);
    if (!searcher.empty()) {
      self_->send_exit(searcher.mapped(), caf::exit_reason::user_shutdown);
    }
    for (const auto& sink : searches_.land(key)) sink->finish(cancelled_error());
  }
  check_drained();
}

void task_dispatcher_state::check_drained() {
  if (draining_ && queries_.empty() && asked_.empty() &&
      searches_.size() == 0) {
    drained_.keep(true);
  }
}

task_dispatcher_actor::behavior_type task_dispatcher_state::make_behavior(
    dispatcher_options options) {
  options_ = std::move(options);
  queue_.emplace(options_.running, options_.waiting);
  mixtures_.emplace(options_.mixture_bytes);
  return {
      [this](ask_atom, ticket t, const query_ref& question,
             const answer_sink_ref& sink) { ask(t, question, sink); },
      [this](adapt_atom, ticket t, const adapt_request_ref& request,
             const adapt_sink_ref& sink) { adapt(t, request, sink); },
      [this](progress_atom, const std::string& key, const adapt_progress& p) {
        searches_.for_each(
            key, [&](const adapt_sink_ref& sink) { sink->part(p); });
      },
      [this](cancel_atom, ticket t) {
        give_up(t, cancelled_error());
        leave_adaptation(t);
      },
      [this](conclude_atom, ticket t) { conclude(t); },
      [this](forget_atom) { routes_.forget(); },
      [this](peers_atom, const peers_ref& now) { meet(now); },
      [this](health_atom) {
        load_.queued = static_cast<std::int64_t>(queue_->waiting());
        load_.running = static_cast<std::int64_t>(queue_->running());
        load_.searches = static_cast<std::int64_t>(searches_.size());
        return load_;
      },
      [this](drain_atom) -> caf::result<bool> {
        draining_ = true;
        const auto promise = self_->make_response_promise<bool>();
        drained_ = {promise, "the task dispatcher"};
        check_drained();
        return promise;
      },
      [this](cancel_all_atom) { cancel_all(); },
      [this](tick_atom) {
        expire();
        pump();
      },
  };
}

task_dispatcher_actor::behavior_type run_task_dispatcher(
    task_dispatcher* self, dispatcher_options options) {
  return self->state.make_behavior(std::move(options));
}

}  // namespace t2
