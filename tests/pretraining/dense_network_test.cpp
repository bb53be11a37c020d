// The written-out forward and backward pass against autograd over the graph
// that SVF training uses, against differences of its own loss, and against
// documents run one by one.
#include "pretraining/dense_network.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <c10/core/GradMode.h>

#include <cmath>

#include "model/rotary.hpp"
#include "model/training_graph.hpp"

namespace t2 {
namespace {

model_config shape(std::int64_t heads, std::int64_t kv_heads,
                   std::int64_t head_dim) {
  model_config c;
  c.model_type = "llama";
  c.vocabulary = 37;  // not whole vectors
  c.hidden = 32;
  c.intermediate = 48;
  c.layers = 2;
  c.heads = heads;
  c.kv_heads = kv_heads;
  c.head_dim = head_dim;
  c.max_positions = 64;
  c.tied_embeddings = true;
  return c;
}

/// Weights of a size at which every part of the network matters.
void fill(dense_network& network) {
  at::manual_seed(7);
  for (std::size_t i = 0; i < network.layout().weights().size(); ++i) {
    auto part = network.layout().part(network.parameter(), i);
    part.copy_(at::randn(part.sizes()) * 0.3);
    if (!network.layout().weights()[i].is_matrix()) part.add_(1);
  }
  network.weights_changed();
}

struct document {
  std::vector<token_id> tokens;
  std::vector<std::uint8_t> counts;
  float weight;
};

/// Lengths around the kernels' tiles of 4 and 16.
std::vector<document> documents() {
  std::vector<document> all;
  for (const int length : {2, 5, 17, 18, 34, 50}) {
    document d{{}, {}, 0.5f + 0.1f * static_cast<float>(length % 4)};
    for (int i = 0; i < length; ++i) {
      d.tokens.push_back((i * 7 + length * 3 + i * i) % 37);
      d.counts.push_back(i > 0 && (i + length) % 3 != 0);
    }
    d.counts[1] = 1;
    all.push_back(d);
  }
  return all;
}

dense_pass pack(const std::vector<document>& all) {
  dense_pass pass;
  for (const auto& d : all) pass.add(d.tokens, d.counts, d.weight);
  return pass;
}

class full_weights : public trainable_linears {
 public:
  full_weights(const dense_layout& layout, const at::Tensor& flat)
      : layout_{layout}, flat_{flat} {}
  at::Tensor apply(std::int64_t layer, projection_kind kind,
                   const at::Tensor& x_bn) const override {
    const std::size_t place[] = {1, 2, 3, 4, 6, 7, 8};
    return at::linear(
        x_bn, layout_.part(flat_, layout_.layer(layer) +
                                      place[static_cast<int>(kind)]));
  }

 private:
  const dense_layout& layout_;
  at::Tensor flat_;
};

/// Loss and gradient by autograd, a document at a time.
std::pair<double, at::Tensor> by_autograd(const model_config& config,
                                          const dense_layout& layout,
                                          const at::Tensor& parameter,
                                          const std::vector<document>& all) {
  const c10::AutoGradMode on{true};
  auto flat = parameter.detach().clone().requires_grad_(true);
  decoder_weights weights;
  weights.embedding_vh = layout.part(flat, 0);
  for (std::int64_t l = 0; l < config.layers; ++l) {
    auto& norms = weights.layers.emplace_back();
    norms.attention.weight = layout.part(flat, layout.layer(l));
    norms.mlp.weight = layout.part(flat, layout.layer(l) + 5);
  }
  weights.final_norm.weight = layout.part(flat, layout.final_norm());
  const std::array rotary{make_rotary_table(config, config.max_positions)};
  const full_weights linears{layout, flat};
  auto loss = at::zeros({}, at::kDouble);
  for (const auto& d : all) {
    auto ids = at::empty({1, static_cast<std::int64_t>(d.tokens.size()) - 1},
                         at::kLong);
    for (std::int64_t i = 0; i < ids.size(1); ++i)
      ids[0][i] = d.tokens[static_cast<std::size_t>(i)];
    const auto hidden =
        hidden_states(config, weights, rotary, linears, at::kFloat, ids);
    const auto log_p = at::log_softmax(
        at::linear(hidden, weights.embedding_vh).to(at::kDouble), 1);
    for (std::size_t i = 1; i < d.tokens.size(); ++i)
      if (d.counts[i])
        loss = loss - log_p[static_cast<std::int64_t>(i) - 1][d.tokens[i]] *
                          static_cast<double>(d.weight);
  }
  loss.backward();
  return {loss.item<double>(), flat.grad().clone()};
}

double distance(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).norm() / b.norm()).item<double>();
}

struct heads {
  std::int64_t query, key, dim;
};

class dense_network_of : public testing::TestWithParam<heads> {
 protected:
  model_config config_ =
      shape(GetParam().query, GetParam().key, GetParam().dim);
};

TEST_P(dense_network_of, has_the_loss_and_gradient_of_autograd) {
  dense_network network{config_, at::kFloat, 160};
  fill(network);
  const auto all = documents();
  const auto [loss, gradient] = by_autograd(config_, network.layout(),
                                            network.parameter(), all);
  EXPECT_NEAR(network.accumulate(pack(all)), loss, 1e-4 * loss);
  for (std::size_t i = 0; i < network.layout().weights().size(); ++i)
    EXPECT_LT(distance(network.layout().part(network.gradient(), i),
                       network.layout().part(gradient, i)),
              1e-4)
        << network.layout().weights()[i].name;
}

TEST_P(dense_network_of, in_bfloat16_is_near_float32) {
  dense_network exact{config_, at::kFloat, 160};
  dense_network rounded{config_, at::kBFloat16, 160};
  fill(exact);
  rounded.parameter().copy_(exact.parameter());
  rounded.weights_changed();
  const auto pass = pack(documents());
  const double loss = exact.accumulate(pass);
  EXPECT_NEAR(rounded.accumulate(pass), loss, 0.02 * loss);
  EXPECT_LT(distance(rounded.gradient(), exact.gradient()), 0.1);
}

TEST_P(dense_network_of, sees_no_document_beside_its_own) {
  dense_network network{config_, at::kFloat, 160};
  fill(network);
  const auto all = documents();
  const double together = network.accumulate(pack(all));
  const auto gradient = network.gradient().clone();
  network.gradient().zero_();
  double apart = 0;
  for (const auto& one : all) apart += network.accumulate(pack({one}));
  EXPECT_NEAR(together, apart, 1e-5 * apart);
  EXPECT_LT(distance(gradient, network.gradient()), 1e-5);
}

TEST_P(dense_network_of, changes_its_loss_as_the_gradient_says) {
  dense_network network{config_, at::kFloat, 160};
  fill(network);
  const auto pass = pack(documents());
  network.accumulate(pass);
  const auto start = network.parameter().clone();
  for (std::size_t i = 0; i < network.layout().weights().size(); ++i) {
    // Along the gradient of this weight alone the loss changes most.
    auto direction = at::zeros_like(start);
    auto part = network.layout().part(direction, i);
    part.copy_(network.layout().part(network.gradient(), i));
    const double slope = part.norm().item<double>();
    direction.div_(slope);
    const double step = 2e-3;
    const auto at_step = [&](double by) {
      network.parameter().copy_(start + direction * by);
      return network.loss(pass);
    };
    EXPECT_NEAR((at_step(step) - at_step(-step)) / (2 * step), slope,
                0.02 * slope)
        << network.layout().weights()[i].name;
  }
}

INSTANTIATE_TEST_SUITE_P(all, dense_network_of,
                         testing::Values(heads{4, 4, 8}, heads{4, 2, 16},
                                         heads{3, 1, 32}, heads{2, 1, 40}));

}  // namespace
}  // namespace t2
