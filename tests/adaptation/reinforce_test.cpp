#include "adaptation/reinforce_objective.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>

#include "adaptation/expert_training.hpp"
#include "adaptation/random_stream.hpp"
#include "engine/rollout.hpp"
#include "model/safetensors.hpp"
#include "model/svf_training.hpp"
#include "model/trainer_model.hpp"
#include "model/transformer.hpp"
#include "tests/adaptation/stories_model.hpp"
#include "tests/adaptation/tiny_shape.hpp"

namespace t2 {
namespace {

// A model whose answers can all be written down: six tokens, token 0 ends an
// answer, at most three tokens.
constexpr std::int64_t toy_vocabulary = 6;
constexpr std::int32_t toy_answer = 3;

std::shared_ptr<language_model> make_toy_model() {
  at::set_num_threads(1);
  const auto folder = scratch_folder() / "toy";
  std::filesystem::create_directories(folder);
  std::ofstream{folder / "config.json"} << R"({"model_type":"llama",
    "architectures":["LlamaForCausalLM"],"vocab_size":6,"hidden_size":8,
    "intermediate_size":12,"num_hidden_layers":1,"num_attention_heads":2,
    "num_key_value_heads":1,"max_position_embeddings":64,"rms_norm_eps":1e-5,
    "hidden_act":"silu","tie_word_embeddings":true,"bos_token_id":1,
    "eos_token_id":0,"rope_theta":10000.0,"torch_dtype":"float32"})";
  std::map<std::string, at::Tensor> tensors;
  std::uint64_t seed = 3;
  const auto random = [&](std::vector<std::int64_t> shape, float size) {
    std::int64_t n = 1;
    for (const auto d : shape) n *= d;
    return random_vector(n, -size, size, seed++).view(shape);
  };
  tensors["model.embed_tokens.weight"] = random({6, 8}, 1.f);
  tensors["model.norm.weight"] = at::ones({8});
  const std::string layer = "model.layers.0.";
  for (const char* norm : {"input_layernorm", "post_attention_layernorm"})
    tensors[layer + norm + ".weight"] = at::ones({8});
  const std::map<std::string, std::vector<std::int64_t>> shapes{
      {"self_attn.q_proj", {8, 8}}, {"self_attn.k_proj", {4, 8}},
      {"self_attn.v_proj", {4, 8}}, {"self_attn.o_proj", {8, 8}},
      {"mlp.gate_proj", {12, 8}},   {"mlp.up_proj", {12, 8}},
      {"mlp.down_proj", {8, 12}}};
  for (const auto& [name, shape] : shapes)
    tensors[layer + name + ".weight"] = random(shape, 0.6f);
  EXPECT_TRUE(write_safetensors(folder / "model.safetensors", tensors));
  auto model = language_model::load({.folder = folder,
                                     .device = "cpu",
                                     .dtype = "float32",
                                     .svd_cache = scratch_folder() / "svd"});
  EXPECT_TRUE(model) << model.error().message;
  return model ? *model : nullptr;
}

struct toy {
  std::shared_ptr<language_model> model = make_toy_model();
  std::shared_ptr<const svf_layout> layout =
      std::make_shared<svf_layout>(model->config(), svf_targets::all);
  // Away from the base: the divergence and its gradient are not zero.
  at::Tensor d = random_vector(layout->total(), -0.5f, 0.5f, 77);
  std::vector<token_id> prompt{1, 4, 2};

  std::unique_ptr<trainer_model> trainer(
      kl_direction direction = kl_direction::policy_base) const {
    auto linears = svf_linears::make(model->network(), layout);
    EXPECT_TRUE(linears) << linears.error().message;
    auto out = std::make_unique<trainer_model>(model, *std::move(linears),
                                               direction);
    out->set(d);
    return out;
  }

  /// Every answer: ended by token 0, or three tokens long.
  std::vector<rollout> answers() const {
    std::vector<rollout> out, open{{prompt, prompt.size(), false}};
    for (int length = 1; length <= toy_answer; ++length) {
      std::vector<rollout> longer;
      for (const auto& r : open)
        for (token_id t = 0; t < toy_vocabulary; ++t) {
          rollout next = r;
          next.tokens.push_back(t);
          next.ended = t == 0;
          (next.ended || length == toy_answer ? out : longer).push_back(next);
        }
      open = longer;
    }
    return out;
  }

  std::vector<rollout> draw(const trainer_model& policy, std::size_t count,
                            float temperature, std::uint64_t stream) const {
    std::vector<rollout_request> requests;
    for (std::size_t i = 0; i < count; ++i)
      requests.push_back({prompt, stream + i});
    auto batch = rollout_batch::make(
        *model, requests,
        {.temperature = temperature, .seed = 5, .max_tokens = toy_answer});
    EXPECT_TRUE(batch) << batch.error().message;
    for (;;) {
      const auto more = batch->advance(*model, &policy.linears().dense());
      EXPECT_TRUE(more) << more.error().message;
      if (!more || !*more) return batch->rollouts();
    }
  }
};

double toy_reward(const rollout& r) {
  std::int64_t sum = 0;
  for (auto i = r.answer_begin; i < r.tokens.size(); ++i) sum += r.tokens[i];
  return sum % 3 == 0 ? 1 : -1;
}

training_row row_of(const rollout& r, float weight, float kl_weight = 0) {
  return {.tokens = r.tokens,
          .answer_begin = r.answer_begin,
          .weights = std::vector<float>(r.tokens.size() - r.answer_begin,
                                        weight),
          .kl_weight = kl_weight};
}

std::vector<double> doubles(const at::Tensor& t) {
  const auto wide = t.to(at::kDouble).contiguous();
  return {wide.const_data_ptr<double>(),
          wide.const_data_ptr<double>() + wide.numel()};
}

class estimator : public testing::TestWithParam<advantage_kind> {};

// ∇ E[r] = Σ_ŷ π(ŷ) r(ŷ) ∇ log π(ŷ), over all answers.
TEST_P(estimator, mean_equals_the_gradient_by_enumeration) {
  const toy t;
  const auto policy = t.trainer();
  const auto all = t.answers();
  std::vector<training_row> rows;
  for (const auto& r : all) rows.push_back(row_of(r, 1));
  const auto log_p = policy->loss(rows, 4096);
  ASSERT_TRUE(log_p) << log_p.error().message;
  double mass = 0, expected_reward = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const double p = std::exp(log_p->log_probabilities[i]);
    mass += p;
    expected_reward += p * toy_reward(all[i]);
    rows[i] = row_of(all[i], static_cast<float>(p * toy_reward(all[i])));
  }
  ASSERT_NEAR(mass, 1, 1e-4);
  const auto exact = policy->loss_and_gradient(rows, 4096);
  ASSERT_TRUE(exact);
  const auto expected = doubles(exact->gradient);

  // Many batches of four; the estimate of each is one draw.
  constexpr std::size_t batch = 4;
  constexpr int draws = 1500;
  const auto sampled = t.draw(*policy, batch * draws, 1, 0);
  std::vector<double> sum(expected.size()), squares(expected.size());
  double mean_reward = 0;
  for (int k = 0; k < draws; ++k) {
    const auto part = std::span{sampled}.subspan(
        static_cast<std::size_t>(k) * batch, batch);
    std::vector<double> rewards;
    for (const auto& r : part) {
      rewards.push_back(toy_reward(r));
      mean_reward += rewards.back() / (draws * double{batch});
    }
    const auto gathered = reinforce_objective::learn_from(
        part, rewards, batch, GetParam(), 0);
    const auto estimate = policy->loss_and_gradient(gathered.rows, 4096);
    ASSERT_TRUE(estimate);
    const auto values = doubles(estimate->gradient);
    for (std::size_t i = 0; i < values.size(); ++i) {
      sum[i] += values[i];
      squares[i] += values[i] * values[i];
    }
  }
  EXPECT_NEAR(mean_reward, expected_reward, 4 / std::sqrt(draws * 4.0));
  // χ²-like: every entry within 4.5 standard errors, and 1 on average.
  double total = 0, size = 0;
  for (std::size_t i = 0; i < sum.size(); ++i) {
    const double mean = sum[i] / draws;
    const double variance = squares[i] / draws - mean * mean;
    const double error = std::sqrt(variance / draws);
    EXPECT_LT(std::abs(mean - expected[i]), 4.5 * error + 1e-6) << i;
    total += std::pow((mean - expected[i]) / (error + 1e-9), 2);
    size += expected[i] * expected[i] / (error * error + 1e-18);
  }
  const auto n = static_cast<double>(sum.size());
  EXPECT_LT(total / n, 4);
  // The gradient stands out of that error: the test could have failed.
  EXPECT_GT(size / n, 10);
}

INSTANTIATE_TEST_SUITE_P(
    of, estimator,
    testing::Values(advantage_kind::none, advantage_kind::leave_one_out),
    [](const auto& of) {
      return of.param == advantage_kind::none ? "none" : "leave_one_out";
    });

class divergence : public testing::TestWithParam<kl_direction> {};

// Σ_v written out in double over the logits of policy and base, and its slope
// by finite differences in d.
TEST_P(divergence, equals_its_enumeration_and_finite_differences) {
  const toy t;
  const auto policy = t.trainer(GetParam());
  const rollout answer{{1, 4, 2, 3, 5, 0}, 3, true};
  const std::vector<training_row> row{row_of(answer, 0, 1)};
  // p(v | prefix) of each answer position, as likelihoods of one-token answers.
  const auto distributions = [&](trainer_model& of) {
    std::vector<std::vector<double>> out;
    for (auto i = answer.answer_begin; i < answer.tokens.size(); ++i) {
      std::vector<training_row> rows;
      for (token_id v = 0; v < toy_vocabulary; ++v) {
        rollout one{{answer.tokens.begin(),
                     answer.tokens.begin() + static_cast<std::ptrdiff_t>(i)},
                    i, false};
        one.tokens.push_back(v);
        rows.push_back(row_of(one, 1));
      }
      out.push_back(of.loss(rows, 4096)->log_probabilities);
    }
    return out;
  };
  const auto value_at = [&](const at::Tensor& d) {
    policy->set(d);
    return policy->loss(row, 4096)->loss;
  };
  const auto pi = distributions(*policy);
  policy->set(at::zeros_like(t.d));
  const auto base = distributions(*policy);
  double expected = 0;
  for (std::size_t i = 0; i < pi.size(); ++i)
    for (std::size_t v = 0; v < pi[i].size(); ++v)
      expected += GetParam() == kl_direction::policy_base
                      ? std::exp(pi[i][v]) * (pi[i][v] - base[i][v])
                      : std::exp(base[i][v]) * (base[i][v] - pi[i][v]);
  EXPECT_GT(expected, 0.05);
  EXPECT_NEAR(value_at(t.d), expected, 1e-4 * expected + 1e-5);
  EXPECT_NEAR(value_at(at::zeros_like(t.d)), 0, 1e-6);

  policy->set(t.d);
  const auto found = policy->loss_and_gradient(row, 4096);
  ASSERT_TRUE(found);
  EXPECT_NEAR(found->divergences[0], expected, 1e-4 * expected + 1e-5);
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    const auto direction = random_vector(t.layout->total(), -1, 1, 300 + seed);
    constexpr double h = 2e-3;
    const double slope =
        (value_at(t.d + h * direction) - value_at(t.d - h * direction)) /
        (2 * h);
    const double told = (found->gradient * direction).sum().item<double>();
    EXPECT_NEAR(slope, told,
                0.01 * std::abs(told) +
                    0.003 * found->gradient.norm().item<double>());
  }
}

INSTANTIATE_TEST_SUITE_P(of, divergence,
                         testing::Values(kl_direction::policy_base,
                                         kl_direction::base_policy),
                         [](const auto& of) {
                           return of.param == kl_direction::policy_base
                                      ? "policy_base"
                                      : "base_policy";
                         });

TEST(rollouts, are_drawn_from_the_policy) {
  const toy t;
  const auto policy = t.trainer();
  const auto all = t.answers();
  std::vector<training_row> rows;
  for (const auto& r : all) rows.push_back(row_of(r, 1));
  const auto log_p = policy->loss(rows, 4096);
  ASSERT_TRUE(log_p);
  constexpr std::size_t count = 4000;
  std::map<std::vector<token_id>, double> seen;
  for (const auto& r : t.draw(*policy, count, 1, 0)) seen[r.tokens] += 1;
  double far = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const double p = std::exp(log_p->log_probabilities[i]);
    const double error = std::sqrt(p * (1 - p) / count);
    const double z = (seen[all[i].tokens] / count - p) / error;
    EXPECT_LT(std::abs(z), 5) << i;
    far += z * z;
  }
  EXPECT_LT(far / static_cast<double>(all.size()), 1.6);
}

TEST(rollouts, greedy_take_the_likeliest_token_and_repeat_themselves) {
  const toy t;
  const auto policy = t.trainer();
  const auto one = t.draw(*policy, 3, 0, 0);
  EXPECT_EQ(one[0].tokens, one[2].tokens);
  auto prefix = t.prompt;
  while (prefix.size() < one[0].tokens.size()) {
    std::vector<training_row> rows;
    for (token_id v = 0; v < toy_vocabulary; ++v) {
      rollout r{prefix, prefix.size(), false};
      r.tokens.push_back(v);
      rows.push_back(row_of(r, 1));
    }
    const auto log_p = policy->loss(rows, 4096)->log_probabilities;
    prefix.push_back(static_cast<token_id>(
        std::max_element(log_p.begin(), log_p.end()) - log_p.begin()));
  }
  EXPECT_EQ(one[0].tokens, prefix);
  const auto drawn = t.draw(*policy, 70, 1, 9), again = t.draw(*policy, 70, 1, 9);
  for (std::size_t i = 0; i < drawn.size(); ++i)
    EXPECT_EQ(drawn[i].tokens, again[i].tokens);
}

TEST(rollouts, refuse_a_prompt_that_leaves_no_room) {
  const toy t;
  const sampling_options sampling{.max_tokens = 60};
  for (const auto& prompt : {std::vector<token_id>{},
                             std::vector<token_id>(5, 1),
                             std::vector<token_id>{1, 6}}) {
    const auto made = rollout_batch::make(*t.model, {{prompt, 0}}, sampling);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, ec::invalid_argument);
  }
}

TEST(advantage, is_what_its_name_says) {
  const std::vector<double> rewards{1, -1, -1, 1, 1, 1};
  EXPECT_EQ(advantages(rewards, 3, advantage_kind::none), rewards);
  const auto mean = advantages(rewards, 3, advantage_kind::batch_mean);
  EXPECT_NEAR(mean[0], 1 - 1.0 / 3, 1e-12);
  EXPECT_NEAR(mean[1], -1 - 1.0 / 3, 1e-12);
  // Groups of three answers to one prompt.
  EXPECT_EQ(advantages(rewards, 3, advantage_kind::leave_one_out),
            (std::vector<double>{2, -1, -1, 0, 0, 0}));
  // One answer a prompt: the rest of the batch.
  const auto rest = advantages(rewards, 1, advantage_kind::leave_one_out);
  EXPECT_NEAR(rest[0], 1 - 1.0 / 5, 1e-12);
  EXPECT_NEAR(rest[1], -1 - 3.0 / 5, 1e-12);
  EXPECT_EQ(advantages(std::vector<double>{-1}, 1,
                       advantage_kind::leave_one_out),
            std::vector<double>{-1});
}

// The stories model, asked to go on with a word it would not choose by itself.
training_spec word_spec() {
  training_spec spec;
  spec.name = "word";
  spec.objective = "reinforce";
  for (const char* who : {"cat", "dog", "girl", "boy", "bird", "bear", "fish",
                          "man", "mum", "frog"})
    for (const char* does : {"saw", "had", "found"})
      spec.data += std::string{R"({"prompt":"Once upon a time, a )"} + who +
                   " " + does + R"( a","answer":"little","reward":"choice",)" +
                   R"("choices":["big","little"]})" + "\n";
  spec.reward = "choice";
  spec.targets = "mlp";
  spec.steps = 6;
  spec.batch = 4;
  spec.samples = 4;
  spec.learning_rate = 3e-2;
  spec.max_answer_tokens = 3;
  spec.validate_every = 3;
  spec.checkpoint_every = 2;
  spec.warmup = 0;
  return spec;
}

result<trained_expert> run(const training_spec& spec) {
  auto training = expert_training::make(stories_model(), spec);
  if (!training) return training.error();
  while ((*training)->advance(*stories_model())) {
  }
  return (*training)->outcome();
}

TEST(reinforce, raises_the_reward_of_answers_and_keeps_the_base_near) {
  training_spec spec = word_spec();
  spec.steps = 20;
  spec.validate_every = 5;
  spec.tests["sums"] =
      R"({"prompt":"Once upon a time, a king wanted a","answer":"little",)"
      R"("reward":"choice","choices":["big","little"]})";
  std::vector<training_progress> seen;
  auto training = expert_training::make(
      stories_model(), spec,
      [&](const training_progress& at) { seen.push_back(at); });
  ASSERT_TRUE(training) << training.error().message;
  while ((*training)->advance(*stories_model())) {
  }
  const auto trained = (*training)->outcome();
  ASSERT_TRUE(trained) << trained.error().message;
  EXPECT_GT(trained->best_validation.reward,
            trained->base_validation.reward + 0.5);
  EXPECT_NEAR(trained->base_validation.loss, 0, 1e-6);
  EXPECT_GT(trained->best_validation.loss, 0);
  EXPECT_GT(seen.back().divergence, 0);
  EXPECT_GT(seen.back().length, 1);
  ASSERT_TRUE(trained->tests.contains("sums"));
  const auto& tested = trained->tests.at("sums");
  EXPECT_EQ(tested.questions, 1u);
  EXPECT_EQ(tested.difference.mean,
            tested.reward - tested.base_reward);
  ASSERT_TRUE(trained->trained.seen);
  EXPECT_EQ(trained->trained.seen->size(), 30u);
}

TEST(reinforce, stopped_anywhere_and_resumed_ends_in_the_same_bits) {
  for (const char* method : {"svf", "lora"}) {
    training_spec spec = word_spec();
    spec.method = method;
    spec.output = scratch_folder() / (std::string{"whole-"} + method);
    const auto whole = run(spec);
    ASSERT_TRUE(whole) << whole.error().message;
    for (const int slices : {3, 40, 75, 110}) {
      training_spec part = spec;
      part.output = scratch_folder() / (std::string{"part-"} + method);
      part.checkpoint = scratch_folder() / ("reinforce-" + std::string{method} +
                                            std::to_string(slices));
      {
        auto training = expert_training::make(stories_model(), part);
        ASSERT_TRUE(training) << training.error().message;
        for (int i = 0; i < slices; ++i)
          if (!(*training)->advance(*stories_model())) break;
      }
      const auto resumed = run(part);
      ASSERT_TRUE(resumed) << resumed.error().message;
      EXPECT_EQ(resumed->file, whole->file) << slices;
      EXPECT_EQ(resumed->provenance, whole->provenance);
      if (spec.method == "lora") {
        const auto bytes = [](const std::filesystem::path& folder) {
          std::ifstream in{folder / "adapter_model.safetensors",
                           std::ios::binary};
          return std::string{std::istreambuf_iterator<char>{in}, {}};
        };
        EXPECT_EQ(bytes(part.output), bytes(spec.output));
        EXPECT_GT(bytes(spec.output).size(), 1000u);
        EXPECT_NE(bytes(spec.output).find("seen_prompts"), std::string::npos);
      }
    }
  }
}

TEST(reinforce, stops_when_nothing_is_gained) {
  training_spec spec = word_spec();
  spec.learning_rate = 0;  // nothing can be
  spec.steps = 30;
  spec.patience = 2;
  const auto trained = run(spec);
  ASSERT_TRUE(trained) << trained.error().message;
  EXPECT_EQ(trained->best_step, 0);
  EXPECT_NE(trained->provenance.find("\"steps\":6"), std::string::npos)
      << trained->provenance;
}

TEST(reinforce, refuses_a_test_question_that_it_learns_from) {
  training_spec spec = word_spec();
  spec.tests["sums"] =
      R"({"prompt":"ONCE upon a  time, a cat saw a","answer":"little"})";
  const auto made = expert_training::make(stories_model(), spec);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ec::incompatible);
}

TEST(reinforce, refuses_options_that_make_no_sense) {
  for (const auto& change : std::vector<std::function<void(training_spec&)>>{
           [](training_spec& s) { s.samples = 0; },
           [](training_spec& s) { s.temperature = -1; },
           [](training_spec& s) { s.kl_weight = -0.1; },
           [](training_spec& s) { s.kl_direction = "both"; },
           [](training_spec& s) { s.advantage = "mean"; },
           [](training_spec& s) { s.max_answer_tokens = 100000; },
           [](training_spec& s) { s.format = "text"; },
           [](training_spec& s) { s.method = "full"; },
           [](training_spec& s) { s.method = "lora"; },  // no output
           [](training_spec& s) {
             s.method = "lora";
             s.output = "x";
             s.lora_targets = "q_proj,head";
           },
           [](training_spec& s) {
             s.data = R"({"prompt":"a","answer":"b","reward":"logprob"})";
           },
           [](training_spec& s) {
             s.data = R"({"prompt":"a","answer":"b"})";
             s.reward = "";
           }}) {
    training_spec spec = word_spec();
    change(spec);
    const auto trained = run(spec);
    ASSERT_FALSE(trained);
    EXPECT_EQ(trained.error().code, ec::invalid_argument)
        << trained.error().message;
  }
}

}  // namespace
}  // namespace t2
