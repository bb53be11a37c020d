#include "actors/engine_work.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <stdexcept>

#include "actors/function_job.hpp"
#include "model/language_model.hpp"
#include "tests/paths.hpp"

namespace t2 {
namespace {

/// On a real engine, stepped by hand.
class work_of_an_engine : public testing::Test {
 protected:
  work_of_an_engine()
      : cache_(std::filesystem::temp_directory_path() /
               ("t2-work-" + std::to_string(::getpid()))),
        engine_(load(), {.kv_bytes = 64 << 20}) {}
  ~work_of_an_engine() override { std::filesystem::remove_all(cache_); }

  std::shared_ptr<language_model> load() {
    auto model = language_model::load({.folder = tests::assets() / "stories260k-hf",
                                       .device = "cpu",
                                       .dtype = "auto",
                                       .svd_cache = cache_});
    EXPECT_TRUE(model) << model.error().message;
    return *model;
  }

  template <class T>
  engine_work::answer_to<T> note(std::vector<result<T>>& into) {
    return [&into](result<T> r) { into.push_back(std::move(r)); };
  }

  answer_request_ref request(std::int32_t tokens) {
    answer_request r;
    r.question.prompt = "Once upon a time";
    r.question.sampling.max_tokens = tokens;
    r.question.sampling.ignore_eos = true;
    r.sink = std::make_shared<answer_sink>(
        [this](answer_part p) { parts_.push_back(std::move(p)); },
        [](result<answer_part>) {}, "the answer");
    return std::make_shared<const answer_request>(std::move(r));
  }

  bool step() {
    work_.wait_for_texts();
    work_.open_answers(engine_);
    return engine_.step();
  }
  void finish() {
    while (step()) {
    }
  }

  std::filesystem::path cache_;
  engine engine_;
  engine_work work_;
  std::vector<answer_part> parts_;
};

TEST_F(work_of_an_engine, outlives_a_job_that_throws) {
  std::vector<result<bool>> thrown, fine;
  work_.run(engine_, 1, make_slice([](language_model&) {
              throw std::runtime_error("no memory\nand a long trace");
            }),
            note(thrown));
  work_.run(engine_, 2, make_slice([](language_model&) {}), note(fine));
  finish();
  ASSERT_EQ(thrown.size(), 1u);
  ASSERT_FALSE(thrown[0]);
  EXPECT_EQ(thrown[0].error().code, ec::internal);
  EXPECT_EQ(thrown[0].error().message, "a job failed: no memory");
  ASSERT_EQ(fine.size(), 1u);
  EXPECT_TRUE(fine[0]);
}

TEST_F(work_of_an_engine, takes_turns_between_jobs) {
  std::string order;
  const auto counting = [&order](char name) {
    return make_job([&order, name, left = 3](language_model&) mutable {
      order += name;
      return --left > 0;
    });
  };
  std::vector<result<bool>> done;
  work_.run(engine_, 1, counting('a'), note(done));
  work_.run(engine_, 2, counting('b'), note(done));
  finish();
  EXPECT_EQ(order, "ababab");
  EXPECT_EQ(done.size(), 2u);
}

TEST_F(work_of_an_engine, ends_cancelled_work_once_and_frees_its_ticket) {
  std::vector<result<answer_part>> ends;
  work_.answer(engine_, 7, request(200), note(ends));
  step();
  work_.cancel(engine_, 7);
  ASSERT_EQ(ends.size(), 1u);
  EXPECT_EQ(ends[0].error().code, ec::cancelled);
  EXPECT_TRUE(engine_.idle());
  finish();
  work_.cancel(engine_, 7);
  EXPECT_EQ(ends.size(), 1u);
  work_.answer(engine_, 7, request(5), note(ends));
  finish();
  ASSERT_EQ(ends.size(), 2u);
  ASSERT_TRUE(ends[1]);
  EXPECT_EQ(ends[1]->answer_tokens, 5);
}

TEST_F(work_of_an_engine, leaves_nothing_of_a_batch_that_has_failed) {
  const auto layout =
      std::make_shared<svf_layout>(engine_.model().config(), svf_targets::all);
  generation_request whole;
  whole.prompt = {1, 300, 301, 302};
  whole.sampling.max_tokens = 200;
  whole.sampling.ignore_eos = true;
  generation_request wild = whole;
  wild.delta = *singular_delta::make(
      layout, *engine_.model().singular_values(*layout) * 1e19);
  std::vector<result<search_answers_ref>> ends;
  work_.generate(engine_, 3, {whole, wild, whole}, note(ends));
  while (ends.empty() && engine_.step()) {
  }
  ASSERT_EQ(ends.size(), 1u);
  EXPECT_EQ(ends[0].error().code, ec::internal);
  EXPECT_FALSE(engine_.idle());
  work_.drop_left_over(engine_);
  EXPECT_TRUE(engine_.idle());
  EXPECT_EQ(ends.size(), 1u);
}

TEST_F(work_of_an_engine, reads_no_prompt_that_is_late_or_cancelled) {
  answer_request late = *request(5);
  late.question.prompt.assign(9 << 20, 'x');  // more than is ever tokenised
  answer_request left = late;
  late.deadline = engine_.options().now();
  std::vector<result<answer_part>> late_ends, left_ends;
  work_.answer(engine_, 1, std::make_shared<const answer_request>(late),
               note(late_ends));
  work_.answer(engine_, 2, std::make_shared<const answer_request>(left),
               note(left_ends));
  work_.cancel(engine_, 2);
  ASSERT_EQ(left_ends.size(), 1u);
  finish();
  ASSERT_EQ(late_ends.size(), 1u);
  EXPECT_EQ(late_ends[0].error().code, ec::deadline);
  EXPECT_EQ(left_ends.size(), 1u);

  work_.answer(engine_, 3, std::make_shared<const answer_request>(left),
               note(left_ends));
  finish();
  ASSERT_EQ(left_ends.size(), 2u);
  EXPECT_EQ(left_ends[1].error().code, ec::invalid_argument);
}

TEST_F(work_of_an_engine, refuses_a_ticket_that_is_in_use) {
  std::vector<result<answer_part>> first, second;
  work_.answer(engine_, 7, request(5), note(first));
  work_.answer(engine_, 7, request(5), note(second));
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].error().code, ec::internal);
  finish();
  ASSERT_EQ(first.size(), 1u);
  EXPECT_TRUE(first[0]);
}

TEST_F(work_of_an_engine, sends_the_route_first_and_the_reason_last) {
  std::vector<result<answer_part>> ends;
  answer_request r = *request(8);
  r.route.strategy = "base";
  work_.answer(engine_, 1, std::make_shared<const answer_request>(r), note(ends));
  finish();
  ASSERT_GE(parts_.size(), 2u);
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    EXPECT_EQ(parts_[i].route.has_value(), i == 0) << i;
    EXPECT_EQ(parts_[i].finish_reason.has_value(), i + 1 == parts_.size());
  }
  EXPECT_EQ(parts_.back().finish_reason, "length");
  EXPECT_EQ(parts_.back().text, "") << "all text was sent before";
}

TEST_F(work_of_an_engine, tells_everybody_when_the_engine_is_given_up) {
  std::vector<result<answer_part>> answers;
  std::vector<result<search_answers_ref>> batches;
  work_.answer(engine_, 1, request(50), note(answers));
  generation_request one;
  one.prompt = {1};
  one.sampling.max_tokens = 5;
  work_.generate(engine_, 2, {one, one}, note(batches));
  work_.fail_all({ec::internal, "the device is lost"});
  ASSERT_EQ(answers.size(), 1u);
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_EQ(answers[0].error().message, "the device is lost");
  EXPECT_EQ(batches[0].error().message, "the device is lost");
  finish();
  EXPECT_EQ(answers.size(), 1u);
  EXPECT_EQ(batches.size(), 1u);
}

}  // namespace
}  // namespace t2
