#include "actors/engine_work.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <stdexcept>

#include "actors/function_job.hpp"
#include "model/language_model.hpp"
#include "tests/model/chain_model.hpp"
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

/// A tokenizer that opens each text with a space, and takes it away again.
class work_behind_a_prompt : public testing::Test {
 protected:
  work_behind_a_prompt()
      : folder_(std::filesystem::temp_directory_path() /
                ("t2-seam-" + std::to_string(::getpid()))) {
    const auto words = tests::assets() / "mistral-tokenizer";
    text_ = *tokenizer::load(words);
    const auto id = [&](const char* name) { return *text_->token_to_id(name); };
    model_ = chain_model(folder_, words,
                         {{id("\u2581is"), id("\u2581Paris")},
                          {id("\u2581Paris"), id(".")},
                          {id("."), 2},
                          {1, id("\u2581Once")},
                          {id("\u2581Once"), 2},
                          {id("<0x0A>"), id("<0xC3>")},
                          {id("<0xC3>"), id("<0xA9>")},
                          {id("<0xA9>"), 2},
                          {id("[/INST]"), id("\u2581Paris")}});
    engine_.emplace(model_, engine_options{.kv_bytes = 64 << 20});
  }
  ~work_behind_a_prompt() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  struct heard {
    std::string text;
    std::vector<answer_token> tokens;
    answer_part last;
  };

  heard ask(query question) {
    heard out;
    question.sampling.max_tokens = 8;
    answer_request request;
    request.question = std::move(question);
    request.sink = std::make_shared<answer_sink>(
        [&](answer_part p) {
          out.text += p.text;
          for (auto& token : p.tokens) out.tokens.push_back(std::move(token));
        },
        [](result<answer_part>) {}, "the answer");
    work_.answer(*engine_, ++ticket_,
                 std::make_shared<const answer_request>(std::move(request)),
                 [&](result<answer_part> last) {
                   ASSERT_TRUE(last) << last.error().message;
                   out.last = *std::move(last);
                 });
    work_.wait_for_texts();
    for (bool more = true; more;) {
      work_.open_answers(*engine_);
      more = engine_->step();
    }
    return out;
  }

  std::filesystem::path folder_;
  std::shared_ptr<const tokenizer> text_;
  std::shared_ptr<language_model> model_;
  std::optional<engine> engine_;
  engine_work work_;
  ticket ticket_ = 0;
};

constexpr const char* question_of_france = "The capital of France is";

TEST_F(work_behind_a_prompt, an_answer_keeps_the_space_before_its_first_word) {
  EXPECT_EQ(ask({.prompt = question_of_france}).text, " Paris.");
  EXPECT_EQ(ask({.prompt = question_of_france, .echo = true}).text,
            "The capital of France is Paris.");
  EXPECT_EQ(ask({.messages = {chat_message{"user", "Of France?"}}}).text,
            " Paris.");
  // Behind nothing the text begins.
  EXPECT_EQ(ask({}).text, "Once");
  query stopped{.prompt = question_of_france};
  stopped.sampling.stop = {" Paris"};
  const auto nothing = ask(stopped);
  EXPECT_EQ(nothing.text, "");
  EXPECT_EQ(nothing.last.finish_reason, "stop");
}

TEST_F(work_behind_a_prompt, ids_are_a_prompt_as_its_text_is) {
  const auto ids = *text_->encode(question_of_france, true);
  EXPECT_EQ(ask({.prompt_ids = ids}).text, " Paris.");
  EXPECT_EQ(ask({.prompt_ids = ids, .echo = true}).text,
            "The capital of France is Paris.");
}

TEST_F(work_behind_a_prompt, a_token_s_place_is_where_its_bytes_are) {
  const auto got = ask({.prompt = question_of_france, .report_tokens = true});
  ASSERT_EQ(got.tokens.size(), 2u);
  EXPECT_EQ(got.tokens[0].bytes, " Paris");
  EXPECT_EQ(got.tokens[0].text_offset, 0);
  EXPECT_EQ(got.tokens[1].bytes, ".");
  EXPECT_EQ(got.tokens[1].text_offset, 6);
}

TEST_F(work_behind_a_prompt, a_character_may_begin_in_the_prompt) {
  const auto half = *text_->token_to_id("<0xC3>");
  auto ids = *text_->encode("caf", true);
  ids.push_back(half);
  EXPECT_EQ(ask({.prompt_ids = ids}).text, "\u00e9");
  EXPECT_EQ(ask({.prompt_ids = ids, .echo = true}).text, "caf\u00e9");
  // The line's end is a byte too, and is not said twice.
  EXPECT_EQ(ask({.prompt = "caf\n"}).text, "\u00e9");
  query stopped{.prompt = "caf\n"};
  stopped.sampling.stop = {"\n"};
  EXPECT_EQ(ask(stopped).text, "\u00e9");
}

TEST_F(work_behind_a_prompt, a_reference_is_weighed_as_it_would_be_said) {
  const std::vector<std::pair<query, std::string>> all{
      {{.prompt = question_of_france}, " Paris."},
      {{.prompt_ids = *text_->encode(question_of_france, true)}, " Paris."},
      {{.messages = {chat_message{"user", "Of France?"}}}, "Paris."},
      {{.messages = {chat_message{"user", "Of France?"}}}, " Paris."}};
  for (auto [question, reference] : all) {
    const auto said = ask(question);
    question.reference = reference;
    const auto weighed = ask(question);
    EXPECT_EQ(weighed.last.finish_reason, "scored");
    EXPECT_EQ(weighed.last.prompt_tokens, said.last.prompt_tokens);
    EXPECT_EQ(weighed.last.answer_tokens, 2);
    EXPECT_NEAR(weighed.last.log_probability, said.last.log_probability, 1e-3);
  }
}

}  // namespace
}  // namespace t2
