// A device and a compute type against the CPU in float32: logits of ragged steps
// under every plan, scores and gradients, on models with windows, biases, grouped
// heads and scaled rotations. The largest error of each test is its property
// "error" in the XML and JSON reports.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>

#include "engine/engine.hpp"
#include "model/lora.hpp"
#include "model/svf_training.hpp"
#include "model/trainer_model.hpp"
#include "model/transformer.hpp"
#include "tests/model/test_device.hpp"
#include "tests/model/kv_rows.hpp"
#include "tests/model/test_model.hpp"

namespace t2 {
namespace {

struct place {
  std::string device, dtype, model;
};

std::vector<place> places() {
  std::vector<place> out;
  for (const auto& device : test_devices())
    for (const char* dtype : {"float32", "bfloat16"}) {
      // The reference itself.
      if (device == "cpu" && dtype == std::string_view{"float32"}) continue;
      for (const char* name : {"llama3-tiny", "mistral-swa-tiny", "qwen2-tiny",
                               "stories260k-hf"})
        out.push_back({device, dtype, name});
    }
  return out;
}

class device_agreement : public testing::TestWithParam<place> {
 protected:
  void SetUp() override {
    const auto& [device, dtype, name] = GetParam();
    reference_ = load_test_model(name, "float32", "cpu");
    found_ = load_test_model(name, dtype, device);
    ASSERT_TRUE(reference_ && found_);
    at::manual_seed(31);
  }

  void TearDown() override {
    char text[32];
    std::snprintf(text, sizeof text, "%.3g", worst_);
    RecordProperty("error", text);
  }

  double tolerance() const {
    return GetParam().dtype == "float32" ? 1e-4 : 5e-2;
  }

  /// Of one row, or of a whole gradient.
  void expect_near(const at::Tensor& found, const at::Tensor& wanted,
                   double allowed, const std::string& what) {
    const auto a = found.to(at::kDouble), b = wanted.to(at::kDouble);
    const auto error = (a - b).norm().item<double>() / b.norm().item<double>();
    worst_ = std::max(worst_, error);
    EXPECT_LE(error, allowed) << what;
  }

  delta_ref random_delta(svf_targets targets) {
    auto layout =
        std::make_shared<svf_layout>(reference_->config(), targets);
    const auto s = *reference_->singular_values(*layout);
    return *singular_delta::make(layout, s * 0.3 * at::randn_like(s));
  }

  token_id token(std::int64_t i) const {
    return static_cast<token_id>((17 * i + 3) % reference_->config().vocabulary);
  }

  /// Two prompts of 21 and 37 tokens and a continuation of the second behind its
  /// 30th, first in chunks, then token by token beside each other.
  std::vector<at::Tensor> logits(language_model& model,
                                 const std::vector<delta_ref>& deltas) {
    auto& net = model.network();
    kv_rows kv{net, 64, 3};
    enum : std::int64_t { one, two, three };
    // The third reads the second's first page and a copy of its next slots.
    const auto span = [&](std::int64_t begin, std::int64_t end,
                          std::int64_t position, std::int64_t row) {
      auto out = kv.span(begin, end, position, row);
      if (row == three) out.pages[0] = kv.span(0, 0, 0, two).pages[0];
      return out;
    };
    std::vector<kernels::page_fork> forks;
    std::vector<at::Tensor> out;
    const auto run = [&](std::vector<kernels::attention_span> spans,
                         std::vector<delta_ref> of) {
      packed_step step;
      step.deltas = std::move(of);
      for (const auto& one : spans)
        for (auto i = one.begin; i < one.end; ++i) {
          step.tokens.push_back(token(one.position + 5 * i));
          if (i % 2 == 0 || i + 1 == one.end) step.logit_rows.push_back(i);
        }
      step.spans = std::move(spans);
      step.forks = std::exchange(forks, {});
      const auto hidden = net.forward(step, kv.store());
      ASSERT_TRUE(hidden) << hidden.error().message;
      out.push_back(net.logits(*hidden));
    };
    run({span(0, 21, 0, one), span(21, 42, 0, two)}, {deltas[0], deltas[1]});
    forks = {{kv.span(0, 0, 0, two).pages[1], kv.span(0, 0, 0, three).pages[1],
              14}};
    run({span(0, 1, 21, one), span(1, 17, 21, two), span(17, 22, 30, three)},
        {deltas[0], deltas[1], deltas[1]});
    for (std::int64_t t = 0; t < 3; ++t)
      run({span(0, 1, 22 + t, one), span(1, 2, 37 + t, two),
           span(2, 3, 35 + t, three)},
          {deltas[0], deltas[1], deltas[1]});
    return out;
  }

  void expect_logits(const std::vector<delta_ref>& deltas,
                     const std::string& what) {
    const auto wanted = logits(*reference_, deltas);
    const auto found = logits(*found_, deltas);
    ASSERT_EQ(found.size(), wanted.size());
    for (std::size_t step = 0; step < found.size(); ++step)
      for (std::int64_t row = 0; row < found[step].size(0); ++row)
        expect_near(found[step][row], wanted[step][row], tolerance(),
                    what + ", step " + std::to_string(step) + ", row " +
                        std::to_string(row));
  }

  std::shared_ptr<language_model> reference_, found_;
  double worst_ = 0;
};

TEST_P(device_agreement, in_logits_of_the_base_and_under_every_plan) {
  expect_logits({nullptr, nullptr}, "base");
  const auto of_all = random_delta(svf_targets::all);
  const auto of_mlp = random_delta(svf_targets::mlp);
  for (const auto plan : {linear_plan::dense, linear_plan::factored,
                          linear_plan::delta, linear_plan::grouped_dense}) {
    found_->network().force_plan(plan);
    const std::string name{to_string(plan)};
    expect_logits({of_all, of_all}, name + ", one mixture");
    expect_logits({of_all, of_mlp}, name + ", two mixtures");
    expect_logits({nullptr, of_mlp}, name + ", base and mixture");
  }
}

TEST_P(device_agreement, in_scores) {
  std::vector<scoring_row> rows;
  const auto delta = random_delta(svf_targets::all);
  for (std::int64_t r = 0; r < 6; ++r) {
    scoring_row row{{}, static_cast<std::size_t>(5 + r),
                    r % 2 ? delta : nullptr};
    for (std::int64_t t = 0; t < 12 + r; ++t)
      row.tokens.push_back(token(31 * r + t));
    rows.push_back(row);
  }
  const auto scores = [&](const std::shared_ptr<language_model>& model) {
    engine e{model, {}};
    at::Tensor sums = at::zeros({static_cast<std::int64_t>(rows.size())});
    EXPECT_TRUE(e.score(rows, [&](result<std::vector<row_score>> scored) {
      ASSERT_TRUE(scored) << scored.error().message;
      for (std::size_t i = 0; i < scored->size(); ++i)
        sums[static_cast<std::int64_t>(i)] = (*scored)[i].sum();
    }));
    while (e.step()) {
    }
    return sums;
  };
  expect_near(scores(found_), scores(reference_), tolerance(), "log p");
}

// Of a loss with both terms: weights on log p, and the divergence from the base.
TEST_P(device_agreement, in_loss_and_gradient) {
  std::vector<training_row> rows;
  for (std::int64_t r = 0; r < 3; ++r) {
    training_row row{.tokens = {}, .answer_begin = 3,
                     .kl_weight = r == 1 ? 0.f : 0.5f};
    for (std::int64_t t = 0; t < 7 + 4 * r; ++t)
      row.tokens.push_back(token(11 * r + t));
    row.weights.assign(row.tokens.size() - 3, r == 2 ? -1.f : 1.f);
    rows.push_back(row);
  }
  const auto svf = [](language_model& model) {
    return std::unique_ptr<adapted_linears>{*svf_linears::make(
        model.network(),
        std::make_shared<svf_layout>(model.config(), svf_targets::all))};
  };
  const auto lora = [](language_model& model) {
    return std::unique_ptr<adapted_linears>{std::make_unique<lora_linears>(
        model.network(),
        std::make_shared<lora_layout>(
            model.config(),
            lora_shape{4, 8, {projection_kind::query, projection_kind::down}}))};
  };
  for (const bool is_lora : {false, true}) {
    const auto values = [&] {
      if (!is_lora) return random_delta(svf_targets::all)->d();
      return at::randn({lora(*reference_)->size()}) * 0.05;
    }();
    const auto learn = [&](const std::shared_ptr<language_model>& model) {
      trainer_model trainer{model, is_lora ? lora(*model) : svf(*model)};
      trainer.set(values);
      auto found = trainer.loss_and_gradient(rows, 64);
      EXPECT_TRUE(found) << found.error().message;
      return *found;
    };
    const auto wanted = learn(reference_), found = learn(found_);
    const std::string what = is_lora ? "lora" : "svf";
    // log p in bfloat16 is off by a little of each of its tokens.
    double size = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      size += std::abs(wanted.log_probabilities[i]);
      EXPECT_NEAR(found.divergences[i], wanted.divergences[i],
                  tolerance() * (1 + wanted.divergences[i]))
          << what;
    }
    EXPECT_NEAR(found.loss, wanted.loss, tolerance() * size) << what;
    expect_near(found.gradient, wanted.gradient, 2 * tolerance(),
                what + "'s gradient");
  }
}

TEST(open_device, refuses_what_is_no_device_and_gpus_that_are_not_there) {
  for (const char* wrong : {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1 ",
                            "cuda:128", "CUDA"}) {
    const auto found = open_device(wrong);
    ASSERT_FALSE(found) << wrong;
    EXPECT_EQ(found.error().code, ec::invalid_argument) << wrong;
  }
  // No library, no driver, or fewer GPUs.
  const auto found = open_device("cuda:127");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ec::unavailable);
  EXPECT_NE(found.error().message.find("'cuda:127'"), std::string::npos);
  EXPECT_EQ(found.error().message.find('\n'), std::string::npos);
  EXPECT_TRUE(open_device("cpu"));
}

// What the tests rest on where T2_TEST_DEVICE names a device.
TEST(device_rules, the_hosts_tensors_and_loops_stay_off_a_device) {
  const char* named = named_test_device();
  if (!named || test_device(named).is_cpu())
    GTEST_SKIP() << "T2_TEST_DEVICE names no device";
  const auto there = at::ones({4}).to(test_device(named));
  EXPECT_THROW(there.add(at::ones({4})), std::exception);
  EXPECT_THROW(there.index_select(0, at::zeros({1}, at::kLong)), std::exception);
  EXPECT_EQ(there.add(at::ones({})).sum().item<float>(), 8);
  const volatile float* first = there.const_data_ptr<float>();
  EXPECT_DEATH((void)*first, "");
}

INSTANTIATE_TEST_SUITE_P(devices_types_and_models, device_agreement,
                         testing::ValuesIn(places()), [](const auto& of) {
                           auto text = of.param.device + "_" + of.param.dtype +
                                       "_" + of.param.model;
                           std::ranges::replace(text, '-', '_');
                           std::ranges::replace(text, ':', '_');
                           return text;
                         });

}  // namespace
}  // namespace t2
