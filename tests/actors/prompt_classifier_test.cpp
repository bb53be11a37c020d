#include "actors/prompt_classifier.hpp"

#include <gtest/gtest.h>

#include "tests/actors/scripted_actors.hpp"
#include "tests/model/test_model.hpp"

namespace t2 {
namespace {

class classifier : public virtual_time {
 protected:
  classifier() {
    script_.model = load_test_model("stories260k-hf", "float32");
    engine_ = system_.spawn(scripted_engine, &script_);
    classifier_ = system_.spawn(run_prompt_classifier);
    meet();
    run();
  }
  ~classifier() override {
    kill(classifier_);
    if (engine_) kill(engine_);
  }

  /// Without running: the message waits.
  void meet() {
    peers now;
    now.engine = engine_;
    caf::anon_send(classifier_, peers_atom_v,
                   peers_ref(std::make_shared<const peers>(now)));
  }

  struct outcome {
    std::optional<classification> said;
    std::optional<error> failure;
  };
  void ask(outcome& into, ticket t) {
    label_table table;
    table.labels = {{"code", ""}, {"math", ""}};
    table.leads = true;
    query q;
    q.prompt = "hello";
    const auto request = std::make_shared<const classify_request>(
        classify_request{q, std::make_shared<const label_table>(table),
                         nullptr});
    system_.spawn([this, &into, t, request](caf::event_based_actor* self) {
      self->request(classifier_, caf::infinite, classify_atom_v, t,
                    classify_request_ref(request))
          .then([&into](const classification& said) { into.said = said; },
                [&into](const caf::error& e) {
                  into.failure = from_caf(e, "the classifier");
                });
    });
  }

  engine_script script_;
  generation_engine_actor engine_;
  prompt_classifier_actor classifier_;
};

TEST_F(classifier, asks_the_next_engine_for_what_waits_when_one_dies) {
  kill(engine_);
  outcome one, two;
  ask(one, 1);
  ask(two, 2);
  // Both have asked; the dead engine's error comes behind the supervisor's word.
  scheduler_.run_once();
  scheduler_.run_once();
  engine_ = generation_engine_actor{};
  meet();
  run();
  EXPECT_FALSE(one.said || two.said || one.failure || two.failure);

  outcome refused;
  ask(refused, 3);
  run();
  ASSERT_TRUE(refused.failure);
  EXPECT_EQ(refused.failure->code, ec::unavailable);

  engine_ = system_.spawn(scripted_engine, &script_);
  meet();
  run();
  EXPECT_TRUE(one.said || one.failure);
  EXPECT_TRUE(two.said || two.failure);
}

}  // namespace
}  // namespace t2
