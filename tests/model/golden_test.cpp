// Logits, greedy continuations, log-probabilities, SVF outputs under every plan
// and SVF gradients against the values that transformers computed in float32
// (tests/assets/*/golden.json; the SVD behind them is float64).
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/engine.hpp"
#include "model/language_model.hpp"
#include "model/svf_training.hpp"
#include "model/trainer_model.hpp"
#include "model/transformer.hpp"
#include "tests/model/test_device.hpp"
#include "tests/model/kv_rows.hpp"
#include "tests/model/test_model.hpp"

namespace t2 {
namespace {

using nlohmann::json;

/// Device and model. "reference": the CPU, with the operators of other devices
/// between the linear maps.
class golden
    : public testing::TestWithParam<std::tuple<std::string, std::string>> {
 protected:
  void SetUp() override {
    const auto& [device, name] = GetParam();
    model_ = device == "reference"
                 ? load_test_model(name, "float32", "cpu",
                                   kernels::find_backend(device))
                 : load_test_model(name, "float32", device);
    ASSERT_NE(model_, nullptr);
    std::ifstream file(test_asset(name) / "golden.json");
    record_ = json::parse(file);
  }

  /// All logits of a prompt, fed in chunks of at most `chunk` tokens.
  at::Tensor logits(const std::vector<token_id>& ids, delta_ref delta,
                    std::int64_t chunk = 1 << 20) {
    const auto size = static_cast<std::int64_t>(ids.size());
    kv_rows kv{model_->network(), size};
    std::vector<at::Tensor> parts;
    for (std::int64_t at = 0; at < size; at += chunk) {
      const auto count = std::min(chunk, size - at);
      packed_step step;
      step.tokens.assign(ids.begin() + at, ids.begin() + at + count);
      step.spans = {kv.span(0, count, at)};
      step.deltas = {delta};
      for (std::int64_t i = 0; i < count; ++i) step.logit_rows.push_back(i);
      auto hidden = model_->network().forward(step, kv.store());
      EXPECT_TRUE(hidden) << hidden.error().message;
      parts.push_back(model_->network().logits(*hidden));
    }
    return at::cat(parts, 0);
  }

  void expect_logits(const json& record, const at::Tensor& logits_tv) {
    const auto& ids = record["last_logits"]["ids"];
    const auto& values = record["last_logits"]["values"];
    const auto& norms = record["logits_l2"];
    const auto last = logits_tv[-1];
    const double tolerance = 1e-4 * norms.back().get<double>();
    for (std::size_t i = 0; i < ids.size(); ++i)
      EXPECT_NEAR(last[ids[i].get<std::int64_t>()].item<double>(),
                  values[i].get<double>(), tolerance);
    for (std::size_t t = 0; t < norms.size(); ++t)
      EXPECT_NEAR(logits_tv[static_cast<std::int64_t>(t)]
                      .norm()
                      .item<double>(),
                  norms[t].get<double>(), 1e-4 * norms[t].get<double>());
  }

  std::vector<token_id> generate(const std::vector<token_id>& prompt,
                                 delta_ref delta, engine& e) {
    generation_request request{.prompt = prompt, .delta = delta};
    request.sampling.max_tokens = 32;
    request.sampling.ignore_eos = true;
    std::vector<token_id> out;
    request.on_event = [&](const generation_event& event) {
      EXPECT_FALSE(event.failure) << event.failure->message;
      for (const auto& t : event.tokens) out.push_back(t.token);
    };
    EXPECT_TRUE(e.submit(request));
    while (e.step()) {
    }
    return out;
  }

  double log_probability(std::vector<token_id> prompt,
                         const std::vector<token_id>& continuation,
                         delta_ref delta, engine& e) {
    scoring_row row{prompt, prompt.size(), delta};
    row.tokens.insert(row.tokens.end(), continuation.begin(),
                      continuation.end());
    double sum = 0;
    EXPECT_TRUE(e.score({row}, [&](result<std::vector<row_score>> scores) {
      ASSERT_TRUE(scores) << scores.error().message;
      sum = scores->front().sum();
    }));
    while (e.step()) {
    }
    return sum;
  }

  /// j of a projection: its place in the record's list.
  double place(const projection& where) const {
    const auto& names = record_["projections"];
    for (std::size_t j = 0; j < names.size(); ++j)
      if (where.weight.ends_with(names[j].get<std::string>() + ".weight"))
        return static_cast<double>(j);
    ADD_FAILURE() << where.weight;
    return 0;
  }

  /// d of the record's z = 1 + 0.5 sin(0.37 i + layer + j).
  delta_ref delta_of(const json& record) {
    const auto targets = *parse_svf_targets(record["targets"].get<std::string>());
    auto layout = std::make_shared<svf_layout>(model_->config(), targets);
    const auto s_n = model_->singular_values(*layout);
    EXPECT_TRUE(s_n) << s_n.error().message;
    auto d_n = at::empty_like(*s_n);
    for (std::size_t p = 0; p < layout->size(); ++p) {
      const auto& where = layout->projections()[p];
      const auto s = s_n->narrow(0, layout->offset(p), where.rank());
      const auto i = at::arange(where.rank(), at::kDouble);
      const auto z =
          1 + 0.5 * at::sin(0.37 * i + static_cast<double>(where.layer) +
                            place(where));
      const auto nu =
          record["norm"] == "nuclear" ? s.sum() / (s * z).sum() : at::ones({});
      d_n.narrow(0, layout->offset(p), where.rank()).copy_(s * (nu * z - 1));
    }
    auto delta = singular_delta::make(layout, d_n);
    EXPECT_TRUE(delta) << delta.error().message;
    return *delta;
  }

  std::shared_ptr<language_model> model_;
  json record_;
};

TEST_P(golden, logits_greedy_answers_and_log_probabilities_match) {
  engine e{model_, {}};
  const auto continuation =
      record_["continuation"].get<std::vector<token_id>>();
  for (const auto& prompt : record_["prompts"]) {
    const auto ids = prompt["input_ids"].get<std::vector<token_id>>();
    expect_logits(prompt, logits(ids, nullptr));
    EXPECT_EQ(generate(ids, nullptr, e),
              prompt["greedy_32"].get<std::vector<token_id>>());
    const auto expected = prompt["logprob_sum"].get<double>();
    EXPECT_NEAR(log_probability(ids, continuation, nullptr, e), expected,
                1e-4 * std::abs(expected));
  }
}

TEST_P(golden, chunked_prefill_gives_the_same_logits) {
  for (const auto& prompt : record_["prompts"]) {
    const auto ids = prompt["input_ids"].get<std::vector<token_id>>();
    for (const std::int64_t chunk : {1, 5})
      expect_logits(prompt, logits(ids, nullptr, chunk));
  }
}

TEST_P(golden, every_plan_gives_the_svf_records) {
  const auto continuation =
      record_["continuation"].get<std::vector<token_id>>();
  for (const auto& svf : record_["svf"]) {
    const auto ids = svf["input_ids"].get<std::vector<token_id>>();
    const auto delta = delta_of(svf);
    for (const auto plan : {std::optional{linear_plan::dense},
                            std::optional{linear_plan::factored},
                            std::optional{linear_plan::delta},
                            std::optional<linear_plan>{}}) {
      SCOPED_TRACE(plan ? to_string(*plan) : "chosen");
      model_->network().force_plan(plan);
      engine e{model_, {}};
      expect_logits(svf, logits(ids, delta));
      EXPECT_EQ(generate(ids, delta, e),
                svf["greedy_32"].get<std::vector<token_id>>());
      const auto expected = svf["logprob_sum"].get<double>();
      EXPECT_NEAR(log_probability(ids, continuation, delta, e), expected,
                  1e-4 * std::abs(expected));
    }
  }
}

TEST_P(golden, svf_gradients_match) {
  const auto layout =
      std::make_shared<svf_layout>(model_->config(), svf_targets::all);
  auto linears = svf_linears::make(model_->network(), layout);
  ASSERT_TRUE(linears) << linears.error().message;
  const auto singular_values = (*linears)->singular_values();
  (*linears)->set(at::zeros({layout->total()}, at::kFloat));
  trainer_model trainer{model_, *std::move(linears)};
  training_row row;
  row.tokens = record_["prompts"][1]["input_ids"].get<std::vector<token_id>>();
  row.answer_begin = row.tokens.size();
  const auto continuation =
      record_["continuation"].get<std::vector<token_id>>();
  row.tokens.insert(row.tokens.end(), continuation.begin(), continuation.end());
  row.weights.assign(continuation.size(), 1);
  const auto gradient = trainer.loss_and_gradient({&row, 1}, 4096);
  ASSERT_TRUE(gradient) << gradient.error().message;
  EXPECT_NEAR(-gradient->loss,
              record_["prompts"][1]["logprob_sum"].get<double>(), 1e-2);

  // At z = 1 under norm none, ∂L/∂z = s ⊙ ∂L/∂d.
  const auto grad_z = (gradient->gradient * singular_values);
  const auto& records = record_["svf_gradient"];
  ASSERT_EQ(records.size(), layout->size());
  for (std::size_t p = 0; p < layout->size(); ++p) {
    const auto& expected = records[p];
    SCOPED_TRACE(layout->projections()[p].weight);
    ASSERT_EQ(expected["weight"], layout->projections()[p].weight);
    const auto g = grad_z.narrow(0, layout->offset(p),
                                 layout->projections()[p].rank());
    const auto norm = expected["grad_l2"].get<double>();
    EXPECT_NEAR(g.norm().item<double>(), norm, 1e-3 * norm);
    // Where two singular values nearly meet, their vectors are not unique.
    if (expected["min_rel_gap"].get<double>() < 1e-4) continue;
    for (std::int64_t i = 0; i < 8; ++i)
      EXPECT_NEAR(g[i].item<double>(),
                  expected["grad_first8"][static_cast<std::size_t>(i)]
                      .get<double>(),
                  5e-3 * norm);
  }
}

std::string name_of(const testing::TestParamInfo<golden::ParamType>& of) {
  std::string text = std::get<0>(of.param) + "_" + std::get<1>(of.param);
  std::ranges::replace(text, '-', '_');
  return text;
}

INSTANTIATE_TEST_SUITE_P(
    devices_and_models, golden,
    testing::Combine(testing::ValuesIn(test_devices()),
                     testing::Values("llama3-tiny", "llama-smol-tiny",
                                     "mistral-tiny", "mistral-swa-tiny",
                                     "qwen2-tiny", "stories260k-hf",
                                     "qwen3-tiny", "gpt2-tiny", "olmo2-tiny",
                                     "smollm3-tiny", "gemma2-tiny",
                                     "gemma3-tiny", "phi3-tiny",
                                     "gpt-neox-tiny")),
    name_of);

// One model of each kind of block. A device that is named runs them as its own.
INSTANTIATE_TEST_SUITE_P(
    reference_and_models, golden,
    testing::Combine(
        testing::ValuesIn(named_test_device()
                              ? std::vector<std::string>{}
                              : std::vector<std::string>{"reference"}),
        testing::Values("mistral-swa-tiny", "gpt2-tiny", "olmo2-tiny",
                        "gemma2-tiny", "gemma3-tiny", "gpt-neox-tiny")),
    name_of);

}  // namespace
}  // namespace t2
