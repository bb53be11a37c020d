// Any subset of the weights: what names and patterns mean, steps under every
// plan against a base whose files hold W', gradients against finite
// differences.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "model/safetensors.hpp"
#include "model/svf_training.hpp"
#include "model/trainer_model.hpp"
#include "model/transformer.hpp"
#include "tests/model/kv_rows.hpp"
#include "tests/model/test_model.hpp"

namespace t2 {
namespace {

svf_targets parsed(const std::string& text) {
  const auto targets = svf_targets::parse(text);
  EXPECT_TRUE(targets) << text;
  return targets ? *targets : svf_targets{};
}

model_config three_layers(bool tied = false, bool gated = true) {
  model_config config;
  config.model_type = "llama";
  config.vocabulary = 30;
  config.hidden = 8;
  config.intermediate = 12;
  config.layers = 3;
  config.heads = 2;
  config.kv_heads = 1;
  config.head_dim = 4;
  config.tied_embeddings = tied;
  config.block.gated = gated;
  return config;
}

std::string names_of(const std::string& targets, const model_config& config) {
  std::string out;
  const svf_layout layout{config, parsed(targets)};
  for (const auto& p : layout.projections()) {
    out += out.empty() ? "" : " ";
    if (p.layer != projection::no_layer) out += std::to_string(p.layer) + ":";
    out += to_string(p.kind);
  }
  return out;
}

TEST(svf_targets, name_weights_by_group_kind_layer_and_pattern) {
  const auto config = three_layers();
  const std::map<std::string, std::string> cases{
      {"q_proj", "0:q_proj 1:q_proj 2:q_proj"},
      {"2:attention", "2:q_proj 2:k_proj 2:v_proj 2:o_proj"},
      {"1-2:down_proj,lm_head", "1:down_proj 2:down_proj lm_head"},
      {"embed_tokens", "embed_tokens"},
      {"lm_head,embed_tokens", "embed_tokens lm_head"},
      {"model.layers.*.mlp.up_proj", "0:up_proj 1:up_proj 2:up_proj"},
      {"model.layers.1.*",
       "1:q_proj 1:k_proj 1:v_proj 1:o_proj 1:gate_proj 1:up_proj 1:down_proj"},
      {"0:*_proj,2:mlp",
       "0:q_proj 0:k_proj 0:v_proj 0:o_proj 0:gate_proj 0:up_proj 0:down_proj "
       "2:gate_proj 2:up_proj 2:down_proj"},
      {"1:mlp,1:up_proj", "1:gate_proj 1:up_proj 1:down_proj"},
      {"model.embed*", "embed_tokens"},
      {"7:mlp", ""},
  };
  for (const auto& [targets, names] : cases)
    EXPECT_EQ(names_of(targets, config), names) << targets;
  EXPECT_EQ(svf_layout(config, svf_targets::all).size(), 3u * 7);
  EXPECT_EQ(svf_layout(config, parsed("*")).size(), 3u * 7 + 2);
  EXPECT_EQ(svf_layout(three_layers(true), parsed("*")).size(), 3u * 7 + 1);
  EXPECT_EQ(names_of("0:mlp", three_layers(false, false)),
            "0:up_proj 0:down_proj");
}

TEST(svf_targets, have_one_spelling) {
  for (const auto& [text, same] : std::map<std::string, std::string>{
           {"all", "all"},
           {"mlp", "mlp"},
           {"attention", "attention"},
           {"mlp,attention", "all"},
           {"all,mlp,all", "all"},
           {"up_proj,q_proj,up_proj", "q_proj,up_proj"},
           {"3-3:mlp", "3:mlp"},
           {"0-11:mlp", "0-11:mlp"}}) {
    EXPECT_EQ(parsed(text).text(), same);
    EXPECT_EQ(parsed(parsed(text).text()), parsed(text));
  }
  EXPECT_EQ(svf_targets::both(parsed("mlp"), parsed("lm_head,attention")),
            parsed("all,lm_head"));
}

TEST(svf_targets, refuse_what_names_nothing) {
  for (const char* text :
       {"", ",", "all,", "head", "Q_PROJ", "mlp ", "1:", ":mlp", "-1:mlp",
        "2-1:mlp", "1-:mlp", "a:mlp", "1:2:mlp", "99999999999999999999:mlp",
        "model/layers.*", "q_proj;k_proj"}) {
    const auto targets = svf_targets::parse(text);
    ASSERT_FALSE(targets) << text;
    EXPECT_EQ(targets.error().code, ec::invalid_argument);
    EXPECT_NE(targets.error().message.find("targets: expected"),
              std::string::npos);
  }
  EXPECT_TRUE(parsed("2:mlp").check(three_layers()));
  for (const char* text : {"3:mlp", "mlp,3:attention", "model.layers.9.*",
                           "x.*", "mlp,conv.*"})
    EXPECT_FALSE(parsed(text).check(three_layers())) << text;
  const auto tied = parsed("lm_head").check(three_layers(true));
  ASSERT_FALSE(tied);
  EXPECT_NE(tied.error().message.find("tied to embed_tokens"),
            std::string::npos);
  EXPECT_FALSE(parsed("gate_proj").check(three_layers(false, false)));
}

/// Model, targets.
class targets_of_a_model
    : public testing::TestWithParam<std::pair<const char*, const char*>> {
 protected:
  void SetUp() override {
    at::manual_seed(21);
    model = load_test_model(GetParam().first, "float32");
    ASSERT_NE(model, nullptr);
    delta = random_delta(GetParam().second);
  }

  delta_ref random_delta(const std::string& targets) {
    auto layout = std::make_shared<svf_layout>(model->config(), parsed(targets));
    EXPECT_GT(layout->total(), 0);
    const auto s = *model->singular_values(*layout);
    return *singular_delta::make(layout, s * 0.3 * at::randn_like(s));
  }

  /// A base whose files hold W' = W + U diag(d) Vᵀ, made in float64.
  std::shared_ptr<language_model> with_weights_of(const singular_delta& d) {
    std::map<std::string, at::Tensor> tensors;
    for (const auto& tensor : model->weights().source().tensors())
      tensors[tensor.name] = decode(tensor).to(at::kFloat);
    for (std::size_t p = 0; p < d.layout().size(); ++p) {
      const auto& where = d.layout().projections()[p];
      const auto f = *model->decompositions().load(where);
      auto& w = tensors.at(where.weight);
      w = (w.to(at::kDouble) +
           at::mm(f.u_mr.to(at::kDouble) * d.of(p).to(at::kDouble),
                  f.v_nr.to(at::kDouble).t()))
              .to(at::kFloat);
    }
    const auto folder = test_folder() / ("of-" + d.digest());
    std::filesystem::create_directories(folder);
    for (const auto& file :
         std::filesystem::directory_iterator(test_asset(GetParam().first)))
      if (file.path().string().find("safetensors") == std::string::npos)
        std::filesystem::copy(
            file.path(), folder / file.path().filename(),
            std::filesystem::copy_options::overwrite_existing);
    EXPECT_TRUE(write_safetensors(folder / "model.safetensors", tensors));
    auto made = language_model::load({.folder = folder,
                                      .device = model->device().str(),
                                      .dtype = "float32",
                                      .svd_cache = test_folder() / "svd"});
    EXPECT_TRUE(made) << made.error().message;
    return made ? *made : nullptr;
  }

  struct text {
    delta_ref delta;
    std::vector<token_id> tokens;
  };

  /// Logits of every token of texts that share a step.
  at::Tensor logits(language_model& of, const std::vector<text>& texts,
                    const adapted_weights* weights = nullptr) {
    auto& net = of.network();
    packed_step step;
    step.weights = weights;
    kv_rows kv{net, 64, std::ssize(texts)};
    for (const auto& one : texts) {
      const auto begin = static_cast<std::int64_t>(step.tokens.size());
      const auto count = static_cast<std::int64_t>(one.tokens.size());
      step.tokens.insert(step.tokens.end(), one.tokens.begin(),
                         one.tokens.end());
      step.spans.push_back(
          kv.span(begin, begin + count, 0, std::ssize(step.spans)));
      step.deltas.push_back(one.delta);
      for (auto t = begin; t < begin + count; ++t) step.logit_rows.push_back(t);
    }
    const auto rows = net.forward(step, kv.store());
    EXPECT_TRUE(rows) << rows.error().message;
    return rows ? net.logits(*rows) : at::Tensor{};
  }

  void expect_near(const at::Tensor& found, const at::Tensor& wanted,
                   const std::string& what) {
    EXPECT_LE((found - wanted).norm().item<double>(),
              1e-4 * wanted.norm().item<double>())
        << what;
  }

  std::shared_ptr<language_model> model;
  delta_ref delta;
  const std::vector<token_id> tokens{5, 17, 9, 30, 2, 44, 8, 1, 3};
};

TEST_P(targets_of_a_model, run_as_a_base_with_those_weights_under_every_plan) {
  const auto other = random_delta("mlp");
  const auto alone = logits(*with_weights_of(*delta), {{nullptr, tokens}});
  const auto of_other = logits(*with_weights_of(*other), {{nullptr, tokens}});
  const auto of_base = logits(*model, {{nullptr, tokens}});
  EXPECT_GT((alone - of_base).norm().item<double>(),
            0.01 * of_base.norm().item<double>());
  const auto count = static_cast<std::int64_t>(tokens.size());
  for (const auto plan :
       {std::optional<linear_plan>{}, std::optional{linear_plan::factored},
        std::optional{linear_plan::delta}, std::optional{linear_plan::dense},
        std::optional{linear_plan::grouped_dense}}) {
    auto& net = model->network();
    net.force_plan(plan);
    const std::string name{plan ? to_string(*plan) : "chosen"};
    expect_near(logits(*model, {{delta, tokens}}), alone, name);
    const auto mixed =
        logits(*model, {{nullptr, tokens}, {delta, tokens}, {other, tokens}});
    expect_near(mixed.narrow(0, 0, count), of_base, name + ", base");
    expect_near(mixed.narrow(0, count, count), alone, name + ", mixed");
    expect_near(mixed.narrow(0, 2 * count, count), of_other, name + ", other");
  }
}

TEST_P(targets_of_a_model, answer_in_likelihoods_as_in_logits) {
  auto& net = model->network();
  packed_step step;
  const auto count = static_cast<std::int64_t>(tokens.size());
  kv_rows kv{net, count};
  step.tokens = tokens;
  step.spans = {kv.span(0, count)};
  step.deltas = {delta};
  step.logit_rows = {1, 4, 7};
  const auto rows = net.forward(step, kv.store());
  ASSERT_TRUE(rows);
  const std::vector<std::int64_t> of{0, 1, 2};
  const std::vector<token_id> targets{3, 9, 27};
  const auto found = net.log_probabilities(*rows, of, targets);
  const auto all = at::log_softmax(
      logits(*with_weights_of(*delta), {{nullptr, tokens}}).to(at::kDouble), 1);
  for (std::size_t i = 0; i < of.size(); ++i)
    EXPECT_NEAR(found[i],
                all[step.logit_rows[i]][targets[i]].item<double>(), 1e-3);
}

TEST_P(targets_of_a_model, have_the_gradient_of_finite_differences) {
  auto made = svf_linears::make(model->network(), delta->shared_layout());
  ASSERT_TRUE(made) << made.error().message;
  trainer_model trainer{model, *std::move(made)};
  const std::vector<training_row> learnt{
      {.tokens = tokens,
       .answer_begin = 4,
       .weights = {1, 0.5, -1, 2, 1},
       .kl_weight = 0.7f},
      {.tokens = {4, 2, 49}, .answer_begin = 1, .weights = {-1, 1}}};
  trainer.set(delta->d());
  const auto found = trainer.loss_and_gradient(learnt, 4096);
  ASSERT_TRUE(found) << found.error().message;
  const auto loss_at = [&](const at::Tensor& d) {
    trainer.set(d);
    return trainer.loss(learnt, 4096)->loss;
  };
  const auto& layout = delta->layout();
  double largest = 0;
  for (std::size_t p = 0; p < layout.size(); ++p)
    largest = std::max(largest, found->gradient
                                    .narrow(0, layout.offset(p),
                                            layout.projections()[p].rank())
                                    .norm()
                                    .item<double>());
  for (std::size_t p = 0; p < layout.size(); ++p) {
    const auto rank = layout.projections()[p].rank();
    auto way = at::zeros({layout.total()}, at::kFloat);
    const auto own = found->gradient.narrow(0, layout.offset(p), rank);
    // Along the gradient, and a random way.
    way.narrow(0, layout.offset(p), rank)
        .copy_(own / (own.norm() + 1e-12) + 0.2 * at::randn({rank}));
    const double step = 0.01;
    const auto differences = (loss_at(delta->d() + step * way) -
                              loss_at(delta->d() - step * way)) /
                             (2 * step);
    const auto said = (found->gradient * way).sum().item<double>();
    EXPECT_NEAR(said, differences, 5e-3 * std::abs(differences) + 2e-3 * largest)
        << layout.projections()[p].weight;
  }
  // What rollouts run under is what was differentiated.
  trainer.set(delta->d());
  expect_near(logits(*model, {{nullptr, tokens}}, &trainer.linears().dense()),
              logits(*model, {{delta, tokens}}), "dense");
}

INSTANTIATE_TEST_SUITE_P(
    of, targets_of_a_model,
    testing::Values(std::pair{"llama3-tiny", "embed_tokens"},
                    std::pair{"llama3-tiny", "lm_head"},
                    std::pair{"llama3-tiny", "0:q_proj,v_proj,down_proj"},
                    std::pair{"llama3-tiny", "all,embed_tokens,lm_head"},
                    std::pair{"qwen2-tiny", "embed_tokens"},
                    std::pair{"qwen2-tiny", "0:k_proj,1:up_proj,embed_tokens"},
                    std::pair{"gemma3-tiny", "embed_tokens,1-9:attention"},
                    std::pair{"olmo2-tiny", "*"}),
    [](const auto& of) {
      std::string name = std::string{of.param.first} + "_" + of.param.second;
      for (auto& c : name)
        if (!std::isalnum(static_cast<unsigned char>(c)))
          c = c == '*' ? 'x' : '_';
      return name;
    });

}  // namespace
}  // namespace t2
