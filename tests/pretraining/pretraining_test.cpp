#include "pretraining/pretraining.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <numeric>
#include <nlohmann/json.hpp>
#include <sstream>

#include "model/language_model.hpp"
#include "model/transformer.hpp"
#include "pretraining/dense_network.hpp"
#include "pretraining/pretraining_corpus.hpp"
#include "tests/model/kv_rows.hpp"
#include "tests/model/test_model.hpp"
#include "tests/paths.hpp"

namespace t2 {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

/// Questions of a small world, in two languages.
std::string small_corpus(int count = 40) {
  std::string lines;
  for (int i = 0; i < count; ++i) {
    const int a = i % 7, b = i / 7;
    json line;
    if (i % 5 == 4) {
      line = {{"text", "등식 " + std::to_string(a) + " 은 " +
                           std::to_string(b) + " 이다."}};
    } else {
      line["messages"] = {
          {{"role", "user"},
           {"content",
            "What is " + std::to_string(a) + " + " + std::to_string(b) + "?"}},
          {{"role", "assistant"}, {"content", std::to_string(a + b)}}};
    }
    lines += line.dump() + "\n";
  }
  return lines;
}

class pretraining_run : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = test_folder() / "pretraining" /
              testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    write("corpus.jsonl", small_corpus());
  }

  void write(const std::string& name, const std::string& text) {
    std::ofstream{folder_ / name, std::ios::binary} << text;
  }
  static std::string bytes(const fs::path& file) {
    std::ifstream in{file, std::ios::binary};
    std::stringstream all;
    all << in.rdbuf();
    return all.str();
  }

  pretraining_spec spec(const std::string& out = "model") const {
    pretraining_spec s;
    s.data = folder_ / "corpus.jsonl";
    s.out = folder_ / out;
    s.vocabulary = 300;
    s.hidden = 32;
    s.layers = 2;
    s.heads = 4;
    s.kv_heads = 2;
    s.intermediate = 64;
    s.max_length = 64;
    s.steps = 12;
    s.batch = 300;
    s.learning_rate = 1e-2;
    s.validation = 0.1;
    s.validate_every = 5;
    s.checkpoint_every = 4;
    s.log_every = 2;
    s.threads = 1;
    s.compute = "float32";
    s.dtype = "float32";
    return s;
  }

  static std::unique_ptr<pretraining> make(const pretraining_spec& s) {
    auto made = pretraining::make(s);
    EXPECT_TRUE(made) << made.error().message;
    return made ? *std::move(made) : nullptr;
  }
  static void run(pretraining& training) {
    while (!training.done()) {
      const auto stepped = training.step();
      ASSERT_TRUE(stepped) << stepped.error().message;
    }
    const auto finished = training.finish();
    ASSERT_TRUE(finished) << finished.error().message;
  }
  static std::string refusal(const pretraining_spec& s) {
    const auto made = pretraining::make(s);
    return made ? "" : made.error().message;
  }

  fs::path folder_;
};

std::shared_ptr<language_model> load_folder(const fs::path& folder) {
  auto model = language_model::load({.folder = folder,
                                     .device = "cpu",
                                     .dtype = "float32",
                                     .svd_cache = test_folder() / "svd"});
  EXPECT_TRUE(model) << model.error().message;
  return model ? *model : nullptr;
}

/// All logits of a text by the runtime.
at::Tensor logits_of(language_model& model, const std::vector<token_id>& ids) {
  const auto size = static_cast<std::int64_t>(ids.size());
  kv_rows kv{model.network(), size};
  packed_step step;
  step.tokens = ids;
  step.spans = {kv.span(0, size)};
  step.deltas = {nullptr};
  for (std::int64_t i = 0; i < size; ++i) step.logit_rows.push_back(i);
  const auto hidden = model.network().forward(step, kv.store());
  EXPECT_TRUE(hidden) << hidden.error().message;
  return model.network().logits(*hidden);
}

/// A network with the weights of a loaded model.
dense_network network_of(const language_model& model, std::int64_t tokens) {
  dense_network network{model.config(), at::kFloat, tokens};
  const auto& layout = network.layout();
  for (std::size_t i = 0; i < layout.weights().size(); ++i) {
    const auto& weight = layout.weights()[i];
    const auto stored = model.weights().tensor(weight.name, weight.shape);
    EXPECT_TRUE(stored) << stored.error().message;
    layout.part(network.parameter(), i).copy_(*stored);
  }
  network.weights_changed();
  return network;
}

TEST_F(pretraining_run, learns_a_tiny_corpus_by_heart) {
  auto s = spec();
  s.steps = 200;
  s.validation = 0;
  const auto training = make(s);
  ASSERT_TRUE(training);
  ASSERT_TRUE(training->step());
  const double first = training->progress().loss;
  EXPECT_NEAR(first, std::log(training->vocabulary()), 1.0);
  run(*training);
  EXPECT_LT(training->progress().loss, 0.05 * first);

  // The runtime answers from the folder what was learnt.
  const auto model = load_folder(s.out);
  ASSERT_TRUE(model);
  const std::vector<chat_message> question = {{"user", "What is 3 + 2?"}};
  const auto prompt = model->chat()->render(question, true);
  ASSERT_TRUE(prompt) << prompt.error().message;
  EXPECT_EQ(*prompt, "<|user|>\nWhat is 3 + 2?<|end|>\n<|assistant|>\n");
  auto ids = *model->text()->encode(*prompt, false);
  std::string answer;
  for (int i = 0; i < 8; ++i) {
    const auto next = static_cast<token_id>(
        logits_of(*model, ids)[-1].argmax().item<std::int64_t>());
    if (next == model->config().eos_tokens.front()) break;
    ids.push_back(next);
    answer += *model->text()->decode(std::vector<token_id>{next}, true);
  }
  EXPECT_EQ(answer, "5");
}

TEST_F(pretraining_run, learns_in_bfloat16) {
  auto s = spec();
  s.steps = 200;
  s.validation = 0;
  s.compute = "bfloat16";
  s.dtype = "bfloat16";
  const auto training = make(s);
  ASSERT_TRUE(training);
  run(*training);
  EXPECT_LT(training->progress().loss, 0.3);
  EXPECT_TRUE(load_folder(s.out));
}

TEST_F(pretraining_run, ends_in_the_same_bits_when_killed_in_between) {
  for (const char* compute : {"float32", "bfloat16"}) {
    auto whole = spec(std::string{"whole-"} + compute);
    whole.compute = compute;
    run(*make(whole));
    auto killed = spec(std::string{"killed-"} + compute);
    killed.compute = compute;
    for (const int steps : {3, 5, 7}) {  // before and after checkpoints
      const auto training = make(killed);
      for (int i = 0; i < steps && !training->done(); ++i)
        ASSERT_TRUE(training->step());
    }  // dropped: what came after the last checkpoint is lost
    const auto last = make(killed);
    EXPECT_EQ(last->resumed_from(), 8);
    run(*last);
    for (const char* name : {"model.safetensors", "tokenizer.json",
                             "config.json", "tokenizer_config.json"})
      EXPECT_EQ(bytes(whole.out / name), bytes(killed.out / name)) << name;
    // The log has each step once, but for its times.
    const auto lines = [](const std::string& text) {
      std::vector<json> all;
      std::istringstream in{text};
      for (std::string line; std::getline(in, line);) {
        all.push_back(json::parse(line));
        all.back().erase("seconds");
      }
      return all;
    };
    EXPECT_EQ(lines(bytes(whole.out / "training_log.jsonl")),
              lines(bytes(killed.out / "training_log.jsonl")));
    EXPECT_FALSE(fs::exists(killed.out.string() + ".checkpoint"));
  }
}

TEST_F(pretraining_run, has_the_logits_of_the_runtime) {
  const auto s = spec();
  run(*make(s));
  const auto model = load_folder(s.out);
  ASSERT_TRUE(model);
  auto network = network_of(*model, 64);
  const auto ids = *model->text()->encode(
      "<|user|>\n사과는 몇 개?<|end|>\n<|assistant|>\n12", false);
  const auto ours = network.logits(ids);
  EXPECT_LT(((ours - logits_of(*model, ids)).norm() / ours.norm())
                .item<double>(),
            1e-5);
}

TEST_F(pretraining_run, refuses_what_cannot_be_in_one_line) {
  const auto file = (folder_ / "corpus.jsonl").string();
  const auto with = [&](const std::string& corpus) {
    write("corpus.jsonl", corpus);
    return refusal(spec());
  };
  EXPECT_EQ(with(""), file + ": expected documents to learn from, found none");
  EXPECT_EQ(with(R"({"prompt": "a"})"),
            file + ":1: expected messages or text, found neither");
  EXPECT_EQ(with("{\"text\": \"a\"}\n{\"messages\": []}"),
            file + ":2: messages: expected an array of messages, found an "
                   "empty one");
  EXPECT_EQ(
      with(R"({"messages": [{"role": "user", "content": "a"}]})"),
      file + ":1: messages: expected a turn of the assistant, found none");
  EXPECT_EQ(with(R"({"messages": [{"role": "tool", "content": "a"}]})"),
            file + ":1: messages[0].role: expected user, assistant or system, "
                   "found 'tool'");
  EXPECT_EQ(with(R"({"text": "a <|end|> b"})"),
            file + ":1: text: expected a text without special tokens, found "
                   "<|end|>");
  const std::string longer =
      json{{"text", std::string(200, 'x') + "yz"}}.dump() + "\n" +
      small_corpus();
  auto s = spec();
  s.vocabulary = 261;
  write("corpus.jsonl", longer);
  EXPECT_EQ(refusal(s),
            file + ":1: expected a document of at most 64 tokens, found 203; "
                   "--longer cut or skip, or --max-length");
  s.longer = "cut";
  const auto cut = make(s);
  ASSERT_TRUE(cut);
  EXPECT_EQ(cut->cut(), 1u);
  s = spec();
  s.hidden = 33;
  EXPECT_EQ(refusal(s), "hidden: expected a multiple of 16, found 33");
  s = spec();
  s.kv_heads = 3;
  EXPECT_EQ(refusal(s), "kv_heads: expected a divisor of heads 4, found 3");
  s = spec();
  s.out = folder_ / "corpus.jsonl" / "model";
  write("corpus.jsonl", small_corpus());
  EXPECT_NE(refusal(s).find("expected a folder to write to, found:"),
            std::string::npos);
}

TEST_F(pretraining_run, touches_no_other_model_and_no_other_checkpoint) {
  auto s = spec();
  const auto training = make(s);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(training->step());
  s.learning_rate = 1e-3;
  EXPECT_NE(refusal(s).find("found another run's"), std::string::npos);
  s = spec();
  run(*make(s));
  EXPECT_NE(refusal(s).find("expected a folder without a model"),
            std::string::npos);
}

TEST(pretraining_corpus, counts_what_the_assistant_says) {
  corpus_document document;
  document.messages = {{"user", "ab"}, {"assistant", "c"},
                       {"user", "d"},  {"assistant", "e"}};
  pretraining_corpus corpus;
  corpus.documents = {document};
  const auto vocabulary = *tokenizer::parse(*corpus.train_tokenizer(261));
  const auto answers = *tokenize(document, *vocabulary, true);
  // The tokens are those of the rendered conversation, newline aside.
  EXPECT_EQ(answers.tokens,
            *vocabulary->encode("<|user|>\nab<|end|>\n<|assistant|>\nc<|end|>\n"
                                "<|user|>\nd<|end|>\n<|assistant|>\ne<|end|>",
                                false));
  std::string counted;
  for (std::size_t i = 0; i < answers.tokens.size(); ++i)
    if (answers.counts[i])
      counted += *vocabulary->decode(
          std::vector<token_id>{answers.tokens[i]}, false);
  EXPECT_EQ(counted, "c<|end|>e<|end|>");
  const auto all = *tokenize(document, *vocabulary, false);
  EXPECT_EQ(std::accumulate(all.counts.begin(), all.counts.end(), 0),
            static_cast<int>(all.tokens.size()) - 1);
}

// A folder that t2 pretrain wrote, as transformers reads it
// (make_pretrained_golden.py).
struct pretrained_folder_and_golden {
  std::string folder, golden;  // in the source tree
};

class pretrained_golden
    : public testing::TestWithParam<pretrained_folder_and_golden> {
 protected:
  void SetUp() override {
    const fs::path source = tests::source_folder();
    folder_ = source / GetParam().folder;
    std::ifstream in{source / GetParam().golden};
    golden_ = json::parse(in);
    model_ = load_folder(folder_);
    ASSERT_TRUE(model_);
  }
  fs::path folder_;
  json golden_;
  std::shared_ptr<language_model> model_;
};

TEST_P(pretrained_golden, has_transformers_tokens_and_conversations) {
  for (const auto& one : golden_["tokens"]) {
    const auto ids = *model_->text()->encode(one["text"].get<std::string>(),
                                             false);
    EXPECT_EQ(json(ids), one["ids"]);
    EXPECT_EQ(*model_->text()->decode(ids, false),
              one["decoded"].get<std::string>());
  }
  for (const auto& one : golden_["conversations"]) {
    std::vector<chat_message> messages;
    for (const auto& m : one["messages"])
      messages.push_back({m["role"], m["content"]});
    const auto text = model_->chat()->render(
        messages, one["add_generation_prompt"].get<bool>());
    ASSERT_TRUE(text) << text.error().message;
    EXPECT_EQ(*text, one["rendered"].get<std::string>());
    EXPECT_EQ(json(*model_->text()->encode(*text, false)), one["ids"]);
  }
  EXPECT_EQ(json(model_->config().eos_tokens), json{golden_["eos"]});
}

TEST_P(pretrained_golden, has_transformers_logits) {
  for (const auto& one : golden_["conversations"]) {
    const auto ids = one["ids"].get<std::vector<token_id>>();
    auto network = network_of(*model_, 128);
    for (const auto& logits : {logits_of(*model_, ids), network.logits(ids)}) {
      const auto& norms = one["logits_l2"];
      for (std::size_t t = 0; t < norms.size(); ++t)
        EXPECT_NEAR(
            logits[static_cast<std::int64_t>(t)].norm().item<double>(),
            norms[t].get<double>(), 1e-4 * norms[t].get<double>());
      const auto& last = one["last_logits"];
      for (std::size_t v = 0; v < last.size(); ++v)
        EXPECT_NEAR(logits[-1][static_cast<std::int64_t>(v)].item<double>(),
                    last[v].get<double>(),
                    1e-4 * norms.back().get<double>());
    }
  }
}

TEST_P(pretrained_golden, has_transformers_loss_and_gradients) {
  auto network = network_of(*model_, 128);
  const auto ids =
      golden_["conversations"][0]["ids"].get<std::vector<token_id>>();
  dense_pass pass;
  pass.add(ids, std::vector<std::uint8_t>(ids.size(), 1));
  const double loss = golden_["loss"].get<double>();
  EXPECT_NEAR(network.accumulate(pass), loss, 1e-4 * loss);
  const auto parts = network.layout().named(network.gradient());
  ASSERT_EQ(parts.size(), golden_["gradients"].size());
  for (const auto& [name, want] : golden_["gradients"].items()) {
    const double norm = want["norm"].get<double>();
    const auto flat = parts.at(name).flatten();
    EXPECT_NEAR(flat.norm().item<double>(), norm, 1e-4 * norm) << name;
    for (std::size_t i = 0; i < want["begin"].size(); ++i)
      EXPECT_NEAR(flat[static_cast<std::int64_t>(i)].item<double>(),
                  want["begin"][i].get<double>(), 1e-4 * norm)
          << name;
  }
}

INSTANTIATE_TEST_SUITE_P(
    of, pretrained_golden,
    testing::Values(
        pretrained_folder_and_golden{"tests/assets/pretrained-tiny",
                                     "tests/assets/pretrained-tiny/golden.json"},
        pretrained_folder_and_golden{"assets/t2-mini",
                                     "tests/assets/t2-mini-golden.json"}),
    [](const auto& of) {
      return std::string{of.index == 0 ? "a_tiny_model" : "what_ships"};
    });

}  // namespace
}  // namespace t2
