#include "actors/supervisor.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "actors/task_dispatcher.hpp"
#include "tests/actors/scripted_actors.hpp"

namespace t2 {
namespace {

using namespace std::chrono_literals;

/// Ends in their order, as their monitor sees them.
class supervision : public virtual_time {
 protected:
  supervision() {
    tree_.limits = {.first_delay = 100ms,
                    .longest_delay = 1s,
                    .growth = 2,
                    .failures = 3,
                    .window = 60s};
    tree_.trainings = 1;
    tree_.spawn_store = [this](caf::actor_system& system) {
      return watched("store", system.spawn(scripted_store, &store_));
    };
    tree_.spawn_engine = [this](caf::actor_system& system) {
      return watched("engine", system.spawn(scripted_engine, &engine_));
    };
    tree_.spawn_classifier = [this](caf::actor_system& system) {
      return watched("classifier",
                     system.spawn(scripted_classifier, &classifier_));
    };
    tree_.spawn_dispatcher = [this](caf::actor_system& system) {
      dispatcher_options options;
      options.running = 4;
      return watched("dispatcher",
                     system.spawn(run_task_dispatcher, options));
    };
    tree_.spawn_trainer = [this](caf::actor_system& system,
                                 training_assignment assignment) {
      return watched("trainer",
                     system.spawn([assignment](expert_trainer_actor::pointer s)
                                      -> expert_trainer_actor::behavior_type {
                       return {[](run_atom) {},
                               [s, assignment](cancel_atom) {
                                 assignment.sink->finish(
                                     error{ec::cancelled, "cancelled"});
                                 s->quit();
                               }};
                     }));
    };
  }

  ~supervision() override {
    kill(root_);
    for (const auto& part : parts_) kill(part);
  }

  template <class Handle>
  Handle watched(const std::string& name, Handle part) {
    started_.push_back(name);
    parts_.push_back(caf::actor_cast<caf::actor>(part));
    part->attach_functor([this, name] { ended_.push_back(name); });
    return part;
  }

  void start() {
    root_ = system_.spawn(run_supervisor, tree_, front_desk_actor{});
    run();
  }

  peers_ref peers_now() {
    peers_ref seen;
    system_.spawn([&seen, this](caf::event_based_actor* self) {
      self->request(root_, caf::infinite, peers_atom_v)
          .then([&seen](const peers_ref& now) { seen = now; });
    });
    run();
    return seen;
  }

  health_report health() {
    health_report seen;
    system_.spawn([&seen, this](caf::event_based_actor* self) {
      self->request(root_, caf::infinite, health_atom_v)
          .then([&seen](const health_report& now) { seen = now; });
    });
    run();
    return seen;
  }

  void stop(std::chrono::milliseconds grace) {
    system_.spawn([this, grace](caf::event_based_actor* self) {
      self->request(root_, caf::infinite, stop_atom_v,
                    static_cast<std::int64_t>(grace.count()))
          .then([this](bool) { stopped_ = true; });
    });
    run();
  }

  std::size_t starts_of(const std::string& name) const {
    return static_cast<std::size_t>(
        std::count(started_.begin(), started_.end(), name));
  }

  supervision_options tree_;
  engine_script engine_;
  store_script store_;
  classifier_script classifier_;
  supervisor_actor root_;
  std::vector<std::string> started_, ended_;
  std::vector<caf::actor> parts_;
  bool stopped_ = false;
};

TEST_F(supervision, starts_the_tree_in_order_and_reports_when_it_is_ready) {
  engine_.loading = true;
  start();
  EXPECT_EQ(started_, (std::vector<std::string>{"store", "engine",
                                                "classifier", "dispatcher"}));
  EXPECT_EQ(health().state, "loading");
  EXPECT_FALSE(health().ready);
  tell(peers_now()->engine, step_atom_v);
  EXPECT_EQ(health().state, "ready");
  EXPECT_TRUE(health().ready);
  EXPECT_EQ(health().model, "scripted");
}

TEST_F(supervision, reports_why_the_model_could_not_be_loaded) {
  engine_.load_failure = error{ec::not_found, "no folder /models/none"};
  start();
  EXPECT_EQ(health().state, "failed: no folder /models/none");
  EXPECT_EQ(starts_of("engine"), 1u) << "loading again would not help";
}

TEST_F(supervision, restarts_a_child_alone_after_the_delay) {
  start();
  const auto before = peers_now();
  kill(before->engine);
  EXPECT_EQ(starts_of("engine"), 1u);
  EXPECT_FALSE(peers_now()->engine);
  pass(99ms);
  EXPECT_EQ(starts_of("engine"), 1u);
  pass(1ms);
  EXPECT_EQ(starts_of("engine"), 2u);
  const auto after = peers_now();
  EXPECT_TRUE(after->engine);
  EXPECT_NE(after->engine, before->engine);
  EXPECT_EQ(after->store, before->store);
  EXPECT_EQ(after->dispatcher, before->dispatcher);
  EXPECT_EQ(health().restarts, 1u);
  EXPECT_TRUE(health().ready);
}

TEST_F(supervision, backs_off_and_gives_up_a_child_that_keeps_failing) {
  start();
  kill(peers_now()->store);
  pass(100ms);
  kill(peers_now()->store);
  pass(199ms);
  EXPECT_EQ(starts_of("store"), 2u);
  pass(1ms);
  EXPECT_EQ(starts_of("store"), 3u);
  kill(peers_now()->store);
  pass(60s);
  EXPECT_EQ(starts_of("store"), 3u) << "given up";
  const auto report = health();
  EXPECT_FALSE(report.ready);
  EXPECT_TRUE(report.state.starts_with("failed: expert_store")) << report.state;

  heard<answer_part, answer_part> ear;
  tell(peers_now()->dispatcher, ask_atom_v, ticket{1},
       query_ref(std::make_shared<query>()), listen(ear));
  EXPECT_EQ(ear.code(), ec::unavailable) << "work is refused at once";
}

TEST_F(supervision, does_not_load_a_model_again_whose_files_have_changed) {
  start();
  EXPECT_FALSE(health().damaged);
  caf::anon_send(caf::actor_cast<caf::actor>(peers_now()->engine),
                 caf::exit_msg{nullptr, to_caf(error{ec::corrupt,
                                                     "m: shortened in place"})});
  run();
  pass(60s);
  EXPECT_EQ(starts_of("engine"), 1u);
  EXPECT_TRUE(health().damaged);
  EXPECT_TRUE(health().state.ends_with("m: shortened in place"))
      << health().state;
  heard<answer_part, answer_part> ear;
  tell(peers_now()->dispatcher, ask_atom_v, ticket{1},
       query_ref(std::make_shared<query>()), listen(ear));
  EXPECT_EQ(ear.code(), ec::unavailable);
}

TEST_F(supervision, forgives_failures_that_are_long_past) {
  start();
  for (int i = 0; i < 6; ++i) {
    kill(peers_now()->classifier);
    pass(61s);
  }
  EXPECT_EQ(starts_of("classifier"), 7u);
}

TEST_F(supervision, stops_in_the_opposite_order_when_nothing_runs) {
  start();
  stop(5s);
  EXPECT_EQ(ended_, (std::vector<std::string>{"dispatcher", "classifier",
                                              "engine", "store"}));
  EXPECT_TRUE(stopped_);
}

TEST_F(supervision, lets_running_answers_end_before_it_stops) {
  store_.routes["base"].route.strategy = "base";
  start();
  heard<answer_part, answer_part> ear;
  query q;
  q.target = "base";
  tell(peers_now()->dispatcher, ask_atom_v, ticket{1},
       query_ref(std::make_shared<query>(q)), listen(ear));
  stop(5s);
  EXPECT_FALSE(stopped_);
  EXPECT_EQ(health().state, "stopping");
  pass(4s);
  EXPECT_TRUE(ended_.empty());
  tell(peers_now()->engine, step_atom_v);
  EXPECT_EQ(ear.finals.size(), 1u);
  EXPECT_TRUE(stopped_);
}

TEST_F(supervision, cancels_what_still_runs_when_the_grace_is_over) {
  store_.routes["base"].route.strategy = "base";
  start();
  heard<answer_part, answer_part> ear;
  query q;
  q.target = "base";
  tell(peers_now()->dispatcher, ask_atom_v, ticket{1},
       query_ref(std::make_shared<query>(q)), listen(ear));
  heard<train_progress, store_expert_version> training;
  tell(root_, train_atom_v, ticket{2},
       training_spec_ref(std::make_shared<training_spec>()), listen(training));
  EXPECT_EQ(health().trainings, 1);
  stop(5s);
  pass(5s);
  EXPECT_EQ(ear.code(), ec::cancelled);
  EXPECT_EQ(training.code(), ec::cancelled);
  EXPECT_TRUE(stopped_);
}

TEST_F(supervision, does_not_restart_a_child_while_it_stops) {
  store_.routes["base"].route.strategy = "base";
  start();
  heard<answer_part, answer_part> ear;
  query q;
  q.target = "base";
  tell(peers_now()->dispatcher, ask_atom_v, ticket{1},
       query_ref(std::make_shared<query>(q)), listen(ear));
  const auto engine = peers_now()->engine;
  stop(5s);
  kill(engine);
  EXPECT_EQ(ear.ends(), 1u) << "its caller hears of the engine's death";
  EXPECT_EQ(starts_of("engine"), 1u);
  EXPECT_TRUE(stopped_);
}

TEST_F(supervision, bounds_the_trainings_at_once_and_cancels_them) {
  start();
  heard<train_progress, store_expert_version> first, second;
  const auto spec = training_spec_ref(std::make_shared<training_spec>());
  tell(root_, train_atom_v, ticket{1}, spec, listen(first));
  tell(root_, train_atom_v, ticket{2}, spec, listen(second));
  EXPECT_EQ(second.code(), ec::busy);
  tell(root_, cancel_atom_v, ticket{1});
  EXPECT_EQ(first.code(), ec::cancelled);
  EXPECT_EQ(health().trainings, 0);
}

}  // namespace
}  // namespace t2
