#include "actors/task_dispatcher.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <utility>

#include "tests/actors/scripted_actors.hpp"

namespace t2 {
namespace {

using namespace std::chrono_literals;
using answer_ear = heard<answer_part, answer_part>;
using adapt_ear = heard<adapt_progress, adapt_report>;

route_plan plan_of(const std::string& strategy) {
  route_plan plan;
  plan.route.strategy = strategy;
  return plan;
}

route_plan mixed(const std::string& expert) {
  route_plan plan = plan_of("few-shot");
  plan.recipe.components.push_back(
      {.expert = expert, .version = 1, .alpha = {1}});
  return plan;
}

struct search_debt {
  static inline const char* name = "scripted_search";
  kept_promise<store_adaptation> owed;
};

/// Finds the adaptation 9 when a second run_atom comes, and 8 when it shall
/// conclude.
adaptation_search_actor::behavior_type scripted_search(
    caf::stateful_actor<search_debt, adaptation_search_actor::base>* self,
    std::size_t* started) {
  return {[self, started,
           runs = 0](run_atom) mutable -> caf::result<store_adaptation> {
    const store_adaptation found{.id = 9};
    if (runs++ > 0) {
      self->state.owed.keep(found);
      return found;
    }
    ++*started;
    const auto promise = self->make_response_promise<store_adaptation>();
    self->state.owed = {promise, "the search"};
    return promise;
  },
          [self](conclude_atom) {
            self->state.owed.keep(store_adaptation{.id = 8, .truncated = true});
          }};
}

class dispatcher : public virtual_time {
 protected:
  dispatcher() {
    store_.routes["base"] = plan_of("base");
    store_.routes["task"] = mixed("one");
    options_.running = 2;
    options_.waiting = 2;
    options_.searches = 2;
    options_.deadline = 10s;
    options_.labels = {{"code", ""}, {"math", ""}};
    options_.spawn_search = [this](const search_assignment& assignment) {
      reports_to_ = assignment.reports_to;
      key_ = assignment.plan->key;
      searches_.push_back(system_.spawn(scripted_search, &searches_started_));
      return searches_.back();
    };
  }

  ~dispatcher() override {
    for (const auto& search : searches_) kill(search);
    for (const auto& part : everybody_) kill(part);
  }

  void start() {
    engine_actor_ = system_.spawn(scripted_engine, &engine_);
    store_actor_ = system_.spawn(scripted_store, &store_);
    classifier_actor_ = system_.spawn(scripted_classifier, &classifier_);
    dispatcher_ = system_.spawn(run_task_dispatcher, options_);
    everybody_ = {caf::actor_cast<caf::actor>(engine_actor_),
                  caf::actor_cast<caf::actor>(store_actor_),
                  caf::actor_cast<caf::actor>(classifier_actor_),
                  caf::actor_cast<caf::actor>(dispatcher_)};
    introduce();
  }

  void introduce() {
    peers now;
    now.engine = engine_actor_;
    now.store = store_actor_;
    now.classifier = classifier_actor_;
    now.dispatcher = dispatcher_;
    tell(dispatcher_, peers_atom_v,
         peers_ref(std::make_shared<const peers>(now)));
  }

  ticket ask(answer_ear& ear, const std::string& target = "base",
             std::optional<double> deadline = {}) {
    query q;
    q.prompt = "hello";
    q.target = target;
    q.deadline_seconds = deadline;
    tell(dispatcher_, ask_atom_v, ++last_,
         query_ref(std::make_shared<query>(q)), listen(ear));
    return last_;
  }

  ticket adapt(adapt_ear& ear, const std::string& task = "task") {
    adapt_request request;
    request.task = task;
    tell(dispatcher_, adapt_atom_v, ++last_,
         adapt_request_ref(std::make_shared<adapt_request>(request)),
         listen(ear));
    return last_;
  }

  /// The engine ends all answers that it has.
  void step() { tell(engine_actor_, step_atom_v); }

  dispatcher_load load() {
    dispatcher_load seen;
    const auto asker =
        system_.spawn([&seen, this](caf::event_based_actor* self) {
          self->request(dispatcher_, caf::infinite, health_atom_v)
              .then([&seen](const dispatcher_load& l) { seen = l; });
        });
    run();
    return seen;
  }

  engine_script engine_;
  store_script store_;
  classifier_script classifier_;
  dispatcher_options options_;
  generation_engine_actor engine_actor_;
  expert_store_actor store_actor_;
  prompt_classifier_actor classifier_actor_;
  task_dispatcher_actor dispatcher_;
  std::vector<caf::actor> everybody_;
  ticket last_ = 0;

  std::vector<adaptation_search_actor> searches_;
  task_dispatcher_actor reports_to_;
  std::string key_;
  std::size_t searches_started_ = 0;
};

TEST_F(dispatcher, answers_a_query_for_the_base_under_no_mixture) {
  start();
  answer_ear ear;
  ask(ear);
  ASSERT_EQ(engine_.answers.size(), 1u);
  EXPECT_EQ(engine_.answers[0]->delta, nullptr);
  EXPECT_EQ(engine_.answers[0]->route.strategy, "base");
  EXPECT_EQ(ear.ends(), 0u);
  step();
  ASSERT_EQ(ear.finals.size(), 1u);
  EXPECT_EQ(ear.finals[0].finish_reason, "stop");
  EXPECT_EQ(load().answered, 1u);
}

TEST_F(dispatcher, registers_the_base_in_the_store_when_the_model_is_loaded) {
  start();
  ASSERT_EQ(store_.bases.size(), 1u);
  EXPECT_EQ(store_.bases[0].fingerprint, scripted_card({})->base.fingerprint);
}

TEST_F(dispatcher, makes_a_mixture_once_and_then_has_it_in_memory) {
  start();
  answer_ear first, second;
  ask(first, "task");
  step();
  ask(second, "task");
  step();
  EXPECT_EQ(engine_.mixes, 1u);
  EXPECT_EQ(store_.asked_routes.size(), 1u);
  ASSERT_EQ(engine_.answers.size(), 2u);
  EXPECT_FALSE(engine_.answers[0]->route.from_cache);
  EXPECT_TRUE(engine_.answers[1]->route.from_cache);
  EXPECT_EQ(first.finals.size() + second.finals.size(), 2u);
}

TEST_F(dispatcher, shares_a_mixture_in_the_making_between_queries) {
  engine_.hold_mixings = true;
  start();
  answer_ear first, second;
  const ticket gone = ask(first, "task");
  ask(second, "task");
  EXPECT_EQ(engine_.mixes, 1u);
  tell(dispatcher_, cancel_atom_v, gone);
  step();
  ASSERT_EQ(engine_.answers.size(), 1u) << "the one that was not cancelled";
  step();
  EXPECT_EQ(first.code(), ec::cancelled);
  EXPECT_EQ(second.finals.size(), 1u);
}

TEST_F(dispatcher, looks_routes_up_again_after_a_change_in_the_store) {
  start();
  answer_ear before, after;
  ask(before, "task");
  store_.routes["task"] = mixed("two");
  tell(dispatcher_, forget_atom_v);
  ask(after, "task");
  EXPECT_EQ(store_.asked_routes.size(), 2u);
  EXPECT_EQ(engine_.mixes, 2u);
  step();
}

TEST_F(dispatcher, tells_why_a_route_leads_nowhere) {
  start();
  answer_ear ear;
  ask(ear, "no-such-task");
  EXPECT_EQ(ear.code(), ec::not_found);
  EXPECT_EQ(ear.errors.at(0).message, "the script has none");
}

TEST_F(dispatcher, classifies_a_query_without_a_target) {
  store_.labels = {"code"};
  store_.routes["label:code"] = mixed("coder");
  start();
  answer_ear ear;
  ask(ear, "auto");
  EXPECT_EQ(classifier_.asked, 1u);
  ASSERT_EQ(engine_.answers.size(), 1u);
  EXPECT_EQ(engine_.answers[0]->route.confidence, 0.75);
  EXPECT_EQ(store_.asked_routes, std::vector<std::string>{"label:code"});
  step();
}

TEST_F(dispatcher, explains_what_pass_1_said) {
  store_.labels = {"code"};
  store_.routes["label:code"] = mixed("coder");
  start();
  answer_ear ear;
  ask(ear, "auto:prompt");
  ASSERT_EQ(engine_.answers.size(), 1u);
  const routing& route = engine_.answers[0]->route;
  EXPECT_EQ(route.strategy, "prompt");
  using said = std::vector<std::pair<std::string, double>>;
  EXPECT_EQ(route.probabilities,
            (said{{"code", 0.75}, {"math", 0.15}, {"other", 0.1}}));
  step();
}

TEST_F(dispatcher, stays_on_the_base_where_pass_1_is_unsure) {
  store_.labels = {"code"};
  store_.routes["label:code"] = mixed("coder");
  options_.confidence = 0.8;
  start();
  answer_ear ear;
  ask(ear, "auto");
  ASSERT_EQ(engine_.answers.size(), 1u);
  const routing& route = engine_.answers[0]->route;
  EXPECT_EQ(engine_.answers[0]->delta, nullptr);
  EXPECT_EQ(route.label, "code");
  EXPECT_NE(route.reason.find("0.75"), std::string::npos) << route.reason;
  EXPECT_TRUE(store_.asked_routes.empty());
  step();
}

TEST_F(dispatcher, classifies_under_the_expert_for_it) {
  store_.labels = {"code"};
  store_.routes["label:code"] = mixed("coder");
  store_.routes["expert:router"] = mixed("router");
  options_.classifier = "router";
  start();
  answer_ear ear, again, by_prompt;
  ask(ear, "auto");
  ask(again, "auto:classifier");
  step();
  ask(by_prompt, "auto:prompt");
  EXPECT_EQ(classifier_.asked, 3u);
  EXPECT_EQ(store_.asked_routes,
            (std::vector<std::string>{"expert:router", "label:code"}));
  ASSERT_EQ(engine_.answers.size(), 3u);
  EXPECT_EQ(engine_.answers[0]->route.strategy, "classifier");
  EXPECT_EQ(engine_.answers[1]->route.strategy, "classifier");
  EXPECT_EQ(engine_.answers[2]->route.strategy, "prompt");
  step();
}

TEST_F(dispatcher, refuses_to_classify_by_an_expert_that_is_not_named) {
  store_.labels = {"code"};
  start();
  answer_ear ear;
  ask(ear, "auto:classifier");
  EXPECT_EQ(ear.code(), ec::invalid_argument);
}

TEST_F(dispatcher, asks_pass_1_about_a_task_that_is_not_adapted) {
  store_.labels = {"code"};
  store_.routes["label:code"] = mixed("coder");
  route_plan unadapted;
  unadapted.route.strategy = "base";
  unadapted.route.task = "sums";
  store_.routes["sums"] = unadapted;
  start();
  answer_ear ear;
  ask(ear, "sums");
  EXPECT_EQ(classifier_.asked, 1u);
  ASSERT_EQ(engine_.answers.size(), 1u);
  const routing& route = engine_.answers[0]->route;
  EXPECT_EQ(route.task, "sums");
  EXPECT_EQ(route.strategy, "prompt");
  EXPECT_NE(route.reason.find("not adapted"), std::string::npos);
  step();
}

TEST_F(dispatcher, tells_a_route_without_answering) {
  store_.labels = {"code"};
  store_.routes["label:code"] = mixed("coder");
  start();
  answer_ear ear;
  query asked;
  asked.prompt = "sort a list";
  asked.route_only = true;
  tell(dispatcher_, ask_atom_v, ++last_,
       query_ref(std::make_shared<query>(asked)), listen(ear));
  EXPECT_TRUE(engine_.answers.empty());
  ASSERT_EQ(ear.finals.size(), 1u);
  EXPECT_EQ(ear.finals[0].finish_reason, "routed");
  EXPECT_EQ(ear.finals[0].route->label, "code");
}

TEST_F(dispatcher, shares_between_callers_and_keeps_their_prompts_apart) {
  options_.waiting = 100;
  start();
  const auto ask_as = [&](const std::string& caller, answer_ear& ear) {
    query q;
    q.prompt = "hello";
    q.target = "base";
    q.caller = caller;
    tell(dispatcher_, ask_atom_v, ++last_,
         query_ref(std::make_shared<query>(q)), listen(ear));
  };
  std::vector<answer_ear> crowd(50);
  answer_ear lone;
  for (auto& ear : crowd) ask_as("alice", ear);
  EXPECT_EQ(engine_.answers.size(), 2u) << "as many as run at once";
  ask_as("mallory", lone);
  ASSERT_EQ(engine_.answers.size(), 3u) << "one of a newcomer, at once";
  const auto& first = *engine_.answers[0];
  const auto& last = *engine_.answers[2];
  EXPECT_EQ(last.question.caller, "mallory");
  EXPECT_NE(first.flow.caller, last.flow.caller);
  EXPECT_EQ(first.flow.target, last.flow.target);
  EXPECT_EQ(first.cache_scope, "alice");
  EXPECT_EQ(last.cache_scope, "mallory");
  step();
  EXPECT_EQ(lone.finals.size(), 1u);
}

TEST_F(dispatcher, shares_prompts_between_callers_where_it_is_told_to) {
  options_.share_prefixes = true;
  start();
  answer_ear ear;
  query q;
  q.prompt = "hello";
  q.target = "base";
  q.caller = "alice";
  tell(dispatcher_, ask_atom_v, ++last_, query_ref(std::make_shared<query>(q)),
       listen(ear));
  ASSERT_EQ(engine_.answers.size(), 1u);
  EXPECT_EQ(engine_.answers[0]->cache_scope, "");
  step();
}

TEST_F(dispatcher, does_not_classify_where_no_label_leads_anywhere) {
  start();
  answer_ear ear;
  ask(ear, "");
  EXPECT_EQ(classifier_.asked, 0u);
  ASSERT_EQ(engine_.answers.size(), 1u);
  EXPECT_EQ(engine_.answers[0]->route.strategy, "base");
  step();
}

TEST_F(dispatcher, is_busy_when_the_queue_is_full_and_serves_those_it_took) {
  start();
  answer_ear ears[5];
  for (answer_ear& ear : ears) ask(ear);
  EXPECT_EQ(engine_.answers.size(), 2u);
  EXPECT_EQ(ears[4].code(), ec::busy);
  EXPECT_EQ(load().queued, 2);
  EXPECT_EQ(load().running, 2);
  step();
  EXPECT_EQ(engine_.answers.size(), 4u);
  step();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(ears[i].finals.size(), 1u) << i;
}

TEST_F(dispatcher, lets_queries_wait_until_the_model_is_loaded) {
  engine_.loading = true;
  start();
  answer_ear ear;
  ask(ear);
  EXPECT_TRUE(engine_.answers.empty());
  EXPECT_EQ(load().queued, 1);
  step();
  EXPECT_EQ(engine_.answers.size(), 1u);
  step();
  EXPECT_EQ(ear.finals.size(), 1u);
}

TEST_F(dispatcher, refuses_everything_with_the_reason_when_loading_failed) {
  engine_.loading = true;
  engine_.load_failure = error{ec::corrupt, "model.safetensors: truncated"};
  start();
  answer_ear waiting, late;
  adapt_ear adapting;
  ask(waiting);
  adapt(adapting);
  step();
  ask(late);
  for (const answer_ear* ear : {&waiting, &late}) {
    EXPECT_EQ(ear->code(), ec::corrupt);
    EXPECT_EQ(ear->errors.at(0).message, "model.safetensors: truncated");
  }
  EXPECT_EQ(adapting.code(), ec::corrupt);
}

TEST_F(dispatcher, ends_running_and_waiting_queries_at_their_deadlines) {
  start();
  answer_ear ears[4];
  const ticket running = ask(ears[0], "base", 2.0);
  ask(ears[1]);
  ask(ears[2], "base", 1.0);
  ask(ears[3]);
  pass(999ms);
  EXPECT_EQ(ears[2].ends(), 0u);
  pass(1ms);
  EXPECT_EQ(ears[2].code(), ec::deadline) << "while it waited";
  EXPECT_EQ(engine_.answers.size(), 2u);
  pass(1s);
  EXPECT_EQ(ears[0].code(), ec::deadline) << "while it was answered";
  EXPECT_EQ(engine_.cancelled, std::vector<ticket>{running});
  EXPECT_EQ(engine_.answers.size(), 3u) << "the next one took its place";
  step();
  EXPECT_EQ(ears[1].finals.size(), 1u);
  EXPECT_EQ(ears[3].finals.size(), 1u);
}

TEST_F(dispatcher, gives_every_query_the_configured_deadline_at_most) {
  start();
  answer_ear ear;
  ask(ear, "base", 3600.0);
  ASSERT_EQ(engine_.answers.size(), 1u);
  EXPECT_EQ(engine_.answers[0]->deadline, scheduler_.clock().now() + 10s);
  pass(10s);
  EXPECT_EQ(ear.code(), ec::deadline);
}

TEST_F(dispatcher, cancels_in_the_engine_what_a_caller_gives_up) {
  start();
  answer_ear ear, next;
  const ticket t = ask(ear);
  tell(dispatcher_, cancel_atom_v, t);
  EXPECT_EQ(ear.code(), ec::cancelled);
  EXPECT_EQ(engine_.cancelled, std::vector<ticket>{t});
  EXPECT_EQ(load().running, 0);
}

TEST_F(dispatcher, tells_callers_that_the_engine_died_and_goes_on_with_the_next) {
  start();
  answer_ear running[2], waiting;
  ask(running[0]);
  ask(running[1]);
  ask(waiting);
  // The supervisor's word of it comes after the errors of what ran.
  kill(engine_actor_);
  EXPECT_EQ(running[0].code(), ec::unavailable);
  EXPECT_EQ(running[1].code(), ec::unavailable);
  EXPECT_EQ(waiting.ends(), 0u) << "it does not follow them";

  engine_actor_ = generation_engine_actor{};
  introduce();
  answer_ear patient;
  ask(patient);
  EXPECT_EQ(patient.ends(), 0u) << "it waits for the restart";
  engine_actor_ = system_.spawn(scripted_engine, &engine_);
  everybody_.push_back(caf::actor_cast<caf::actor>(engine_actor_));
  introduce();
  step();
  EXPECT_EQ(waiting.finals.size(), 1u);
  EXPECT_EQ(patient.finals.size(), 1u);
}

TEST_F(dispatcher, waits_a_moment_after_a_part_has_failed) {
  store_.labels = {"code"};
  start();
  kill(classifier_actor_);
  answer_ear lost, next;
  ask(lost, "auto");
  EXPECT_EQ(lost.code(), ec::unavailable);
  ask(next);
  EXPECT_TRUE(engine_.answers.empty());
  pass(100ms);
  EXPECT_EQ(engine_.answers.size(), 1u);
  step();
  EXPECT_EQ(next.finals.size(), 1u);
}

TEST_F(dispatcher, survives_an_engine_that_dies_before_the_labels_are_known) {
  route_plan undecided = plan_of("base");
  undecided.route.task = "new";
  store_.routes["new"] = undecided;
  store_.labels = {"code"};
  start();
  answer_ear ear;
  query q;
  q.prompt = "hello";
  q.target = "new";
  caf::anon_send(dispatcher_, ask_atom_v, ++last_,
                 query_ref(std::make_shared<query>(q)), listen(ear));
  scheduler_.run_once();  // the dispatcher has asked the store for the route
  peers now;
  now.store = store_actor_;
  now.classifier = classifier_actor_;
  now.dispatcher = dispatcher_;
  caf::anon_send(dispatcher_, peers_atom_v,
                 peers_ref(std::make_shared<const peers>(now)));
  run();
  EXPECT_EQ(ear.code(), ec::unavailable);
}

TEST_F(dispatcher, refuses_text_that_no_context_holds) {
  start();
  answer_ear fits, large;
  query q;
  q.prompt.assign(64 << 10, 'x');
  q.target = "base";
  tell(dispatcher_, ask_atom_v, ++last_,
       query_ref(std::make_shared<query>(q)), listen(fits));
  q.reference = "y";
  tell(dispatcher_, ask_atom_v, ++last_,
       query_ref(std::make_shared<query>(q)), listen(large));
  EXPECT_EQ(engine_.answers.size(), 1u);
  EXPECT_EQ(large.code(), ec::invalid_argument);
}

TEST_F(dispatcher, ends_any_number_of_queries_one_after_the_other) {
  constexpr std::size_t many = 40'000;
  options_.waiting = many;
  options_.running = 1;
  start();
  std::size_t ends = 0;
  const answer_sink_ref count = std::make_shared<answer_sink>(
      [](answer_part) {}, [&ends](const result<answer_part>&) { ++ends; },
      "the query");
  answer_ear running;
  const ticket first = ask(running);
  query q;
  q.prompt.assign(70 << 10, 'x');
  const auto large = query_ref(std::make_shared<query>(q));
  for (std::size_t i = 0; i < many / 2; ++i)
    caf::anon_send(dispatcher_, ask_atom_v, ++last_, large, count);
  run();
  tell(dispatcher_, cancel_atom_v, first);
  EXPECT_EQ(ends, 1u) << "a sink ends once";
  EXPECT_EQ(load().queued, 0);
}

TEST_F(dispatcher, takes_labels_from_pass_1_alone) {
  start();
  answer_ear ear;
  ask(ear, "label:anything");
  EXPECT_EQ(ear.code(), ec::not_found);
  EXPECT_TRUE(store_.asked_routes.empty());
}

TEST_F(dispatcher, keeps_one_timer_however_the_deadlines_come) {
  options_.deadline = 300s;
  start();
  std::deque<answer_ear> ears;
  ticket kept = ask(ears.emplace_back());
  for (int round = 0; round < 100; ++round) {
    const ticket brief = ask(ears.emplace_back(), "base", 1.0);
    tell(dispatcher_, cancel_atom_v, brief);
    const ticket next = ask(ears.emplace_back());
    tell(dispatcher_, cancel_atom_v, std::exchange(kept, next));
    pass(1500ms);
  }
  EXPECT_LE(scheduler_.clock().schedule().size(), 4u);
}

TEST_F(dispatcher, leaves_no_caller_without_an_answer_when_it_dies) {
  start();
  answer_ear ears[3];
  adapt_ear adapting;
  const ticket first = ask(ears[0]);
  const ticket second = ask(ears[1]);
  ask(ears[2]);
  adapt(adapting);
  kill(dispatcher_);
  // The engine still holds the sinks of the answers it was asked for.
  engine_.answers.clear();
  run();
  for (const answer_ear& ear : ears) EXPECT_EQ(ear.code(), ec::unavailable);
  EXPECT_EQ(adapting.code(), ec::unavailable);
  EXPECT_EQ(engine_.cancelled, (std::vector<ticket>{first, second}));
}

TEST_F(dispatcher, reuses_an_adaptation_that_the_store_has) {
  store_.found = store_adaptation{.id = 7, .key = "key"};
  start();
  adapt_ear ear;
  adapt(ear);
  ASSERT_EQ(ear.finals.size(), 1u);
  EXPECT_TRUE(ear.finals[0].reused);
  EXPECT_EQ(ear.finals[0].adaptation.id, 7);
  EXPECT_EQ(searches_started_, 0u);
  EXPECT_EQ(load().adaptations_reused, 1u);
}

TEST_F(dispatcher, runs_one_search_for_all_who_want_the_same) {
  start();
  adapt_ear first, second;
  adapt(first);
  adapt(second);
  EXPECT_EQ(searches_started_, 1u);
  EXPECT_EQ(load().searches, 1);
  tell(reports_to_, progress_atom_v, key_, adapt_progress{.iteration = 3});
  ASSERT_EQ(first.parts.size(), 1u);
  ASSERT_EQ(second.parts.size(), 1u);
  EXPECT_EQ(second.parts[0].iteration, 3);
  tell(searches_.at(0), run_atom_v);
  ASSERT_EQ(first.finals.size(), 1u);
  ASSERT_EQ(second.finals.size(), 1u);
  EXPECT_EQ(second.finals[0].adaptation.id, 9);
  EXPECT_FALSE(second.finals[0].reused);
  EXPECT_EQ(load().searches, 0);
  EXPECT_EQ(load().adaptations_computed, 1u);
}

TEST_F(dispatcher, concludes_a_search_for_the_one_who_waits_alone) {
  start();
  adapt_ear first, second;
  const ticket a = adapt(first);
  const ticket b = adapt(second);
  tell(dispatcher_, conclude_atom_v, a);
  EXPECT_EQ(first.code(), ec::cancelled);  // the other one wants all of it
  EXPECT_EQ(second.ends(), 0u);
  EXPECT_EQ(load().searches, 1);
  tell(dispatcher_, conclude_atom_v, b);
  ASSERT_EQ(second.finals.size(), 1u);
  EXPECT_EQ(second.finals[0].adaptation.id, 8);
  EXPECT_TRUE(second.finals[0].adaptation.truncated);
  EXPECT_EQ(load().searches, 0);
  tell(dispatcher_, conclude_atom_v, b);  // which has ended
  EXPECT_EQ(second.finals.size(), 1u);
}

TEST_F(dispatcher, cancels_a_search_when_its_last_waiter_has_left) {
  start();
  adapt_ear first, second;
  const ticket a = adapt(first);
  const ticket b = adapt(second);
  tell(dispatcher_, cancel_atom_v, a);
  EXPECT_EQ(first.code(), ec::cancelled);
  EXPECT_EQ(second.ends(), 0u);
  EXPECT_EQ(load().searches, 1);
  bool gone = false;
  searches_.at(0)->attach_functor([&gone] { gone = true; });
  tell(dispatcher_, cancel_atom_v, b);
  EXPECT_EQ(second.code(), ec::cancelled);
  EXPECT_TRUE(gone);
  EXPECT_EQ(load().searches, 0);
}

TEST_F(dispatcher, tells_waiters_when_a_search_crashes) {
  start();
  adapt_ear ear;
  adapt(ear);
  kill(searches_.at(0));
  EXPECT_EQ(ear.code(), ec::unavailable);
  adapt_ear again;
  adapt(again);
  EXPECT_EQ(searches_started_, 2u);
}

TEST_F(dispatcher, bounds_the_searches_at_once) {
  start();
  adapt_ear ears[3];
  for (int i = 0; i < 3; ++i) {
    store_.key = "key " + std::to_string(i);
    adapt(ears[i]);
  }
  EXPECT_EQ(searches_started_, 2u);
  EXPECT_EQ(ears[2].code(), ec::busy);
}

TEST_F(dispatcher, takes_no_work_while_it_drains_and_says_when_it_is_empty) {
  start();
  answer_ear running, refused;
  adapt_ear refused_too;
  ask(running);
  bool drained = false;
  system_.spawn([&](caf::event_based_actor* self) {
    self->request(dispatcher_, caf::infinite, drain_atom_v)
        .then([&](bool) { drained = true; });
  });
  run();
  ask(refused);
  adapt(refused_too);
  EXPECT_EQ(refused.code(), ec::unavailable);
  EXPECT_EQ(refused_too.code(), ec::unavailable);
  EXPECT_FALSE(drained);
  step();
  EXPECT_EQ(running.finals.size(), 1u);
  EXPECT_TRUE(drained);
}

TEST_F(dispatcher, cancels_all_that_is_left_when_told_to) {
  start();
  answer_ear ears[3];
  adapt_ear adapting;
  for (answer_ear& ear : ears) ask(ear);
  adapt(adapting);
  bool drained = false;
  system_.spawn([&](caf::event_based_actor* self) {
    self->request(dispatcher_, caf::infinite, drain_atom_v)
        .then([&](bool) { drained = true; });
  });
  run();
  tell(dispatcher_, cancel_all_atom_v);
  for (const answer_ear& ear : ears) EXPECT_EQ(ear.code(), ec::cancelled);
  EXPECT_EQ(adapting.code(), ec::cancelled);
  EXPECT_TRUE(drained);
}

}  // namespace
}  // namespace t2
