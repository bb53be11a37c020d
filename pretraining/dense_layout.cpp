#include "pretraining/dense_layout.hpp"

#include <functional>
#include <numeric>

namespace t2 {

std::int64_t dense_layout::weight::size() const {
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1},
                         std::multiplies<>());
}

dense_layout::dense_layout(const model_config& c) {
  const auto add = [&](std::string name, std::vector<std::int64_t> shape) {
    weights_.push_back({std::move(name), std::move(shape), total_});
    total_ += weights_.back().size();
  };
  const auto query = c.heads * c.head_dim, key = c.kv_heads * c.head_dim;
  add("model.embed_tokens.weight", {c.vocabulary, c.hidden});
  for (std::int64_t l = 0; l < c.layers; ++l) {
    const std::string layer = "model.layers." + std::to_string(l) + ".";
    add(layer + "input_layernorm.weight", {c.hidden});
    add(layer + "self_attn.q_proj.weight", {query, c.hidden});
    add(layer + "self_attn.k_proj.weight", {key, c.hidden});
    add(layer + "self_attn.v_proj.weight", {key, c.hidden});
    add(layer + "self_attn.o_proj.weight", {c.hidden, query});
    add(layer + "post_attention_layernorm.weight", {c.hidden});
    add(layer + "mlp.gate_proj.weight", {c.intermediate, c.hidden});
    add(layer + "mlp.up_proj.weight", {c.intermediate, c.hidden});
    add(layer + "mlp.down_proj.weight", {c.hidden, c.intermediate});
  }
  add("model.norm.weight", {c.hidden});
}

at::Tensor dense_layout::part(const at::Tensor& flat,
                              std::size_t place) const {
  const auto& w = weights_[place];
  return flat.narrow(0, w.offset, w.size()).view(w.shape);
}

at::Tensor dense_layout::rows(const at::Tensor& flat, std::size_t place,
                              std::size_t count) const {
  const auto& last = weights_[place + count - 1];
  const auto begin = weights_[place].offset;
  return flat.narrow(0, begin, last.offset + last.size() - begin)
      .view({-1, last.shape.back()});
}

std::map<std::string, at::Tensor> dense_layout::named(
    const at::Tensor& flat) const {
  std::map<std::string, at::Tensor> all;
  for (std::size_t i = 0; i < weights_.size(); ++i)
    all.emplace(weights_[i].name, part(flat, i));
  return all;
}

}  // namespace t2
