// A step through the layers: the linear maps under the plan that was chosen,
// and the backend's operations between them.
#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <array>

#include "model/transformer.hpp"

namespace t2 {
namespace {

// A layer's linear maps, in their order.
enum : std::size_t { query_key_value, attention_out, gate_up, down };

at::Tensor to_index(std::span<const token_id> ids, c10::Device device) {
  std::vector<std::int64_t> wide(ids.begin(), ids.end());
  return at::from_blob(wide.data(), {static_cast<std::int64_t>(wide.size())},
                       at::kLong)
      .clone()
      .to(device);
}

}  // namespace

struct transformer::step_context {
  const step_deltas& deltas;
  linear_plan plan;
  copies dense;
  const adapted_weights* given;
  bool thin;
};

at::Tensor transformer::apply(std::size_t i, const at::Tensor& x_tn,
                              const step_context& c) const {
  const auto& linear = linears_[i];
  if (c.given && c.given->linears[i].defined())
    return linear.apply_dense(x_tn, c.given->linears[i]);
  if (c.plan == linear_plan::base) return linear.apply_base(x_tn);
  if (c.plan == linear_plan::dense || c.plan == linear_plan::grouped_dense) {
    const auto weight_of = [&](const delta_run& run) -> const linear_weight* {
      if (run.delta < 0) return nullptr;
      const auto& w = (*c.dense[static_cast<std::size_t>(run.delta)])[i];
      return w.defined() ? &w : nullptr;
    };
    std::vector<at::Tensor> parts;
    for (const auto& run : c.deltas.runs()) {
      const auto rows = x_tn.narrow(0, run.begin, run.end - run.begin);
      const auto* weight = weight_of(run);
      parts.push_back(weight ? linear.apply_dense(rows, *weight)
                             : linear.apply_base(rows));
    }
    return parts.size() == 1 ? parts.front() : at::cat(parts, 0);
  }
  const auto d_gr = c.deltas.columns(linear.factored());
  if (!d_gr.defined()) return linear.apply_base(x_tn);
  return c.plan == linear_plan::factored
             ? linear.apply_factored(x_tn, d_gr, c.deltas.rows())
             : linear.apply_delta(x_tn, d_gr, c.deltas.rows(),
                                  c.deltas.first_adapted(),
                                  c.thin ? &thin_[i] : nullptr);
}

/// A block over a step: the backend's operations between the linear maps, keys
/// and values in the spans' caches.
struct transformer::step_operations : block_operations {
  step_operations(transformer& of, const packed_step& packed, kv_store& store,
                  const step_context& context_, std::int64_t positions_)
      : net(of),
        pages{store, packed.spans, packed.forks},
        context(context_),
        positions(positions_) {}

  at::Tensor add_norm(at::Tensor& residual_th, const at::Tensor& update_th,
                      const norm_weights& norm) override {
    const auto epsilon = net.config_.norm_epsilon;
    if (!norm.weight.defined()) {
      if (update_th.defined()) residual_th.add_(update_th);
      return residual_th.to(net.dtype_);
    }
    return norm.bias.defined()
               ? net.backend_.add_layer_norm(residual_th, update_th,
                                             norm.weight, norm.bias, epsilon,
                                             net.dtype_)
               : net.backend_.add_rms_norm(residual_th, update_th, norm.weight,
                                           epsilon, net.dtype_);
  }

  at::Tensor norm(const at::Tensor& x_th, const norm_weights& norm) override {
    auto out = x_th.contiguous();
    net.backend_.norm_groups(out, 0, 1, norm.weight, net.config_.norm_epsilon);
    return out;
  }

  at::Tensor attend(std::int64_t layer, const at::Tensor& x_th) override {
    const auto& c = net.config_;
    auto qkv_tn = net.apply(at(layer, query_key_value), x_th, context);
    const auto& norms = net.rest_.layers[static_cast<std::size_t>(layer)];
    if (norms.query.weight.defined()) {
      const auto query = c.heads * c.head_dim, key = c.kv_heads * c.head_dim;
      const auto groups = [](std::int64_t width, const at::Tensor& weight) {
        return width / weight.size(0);
      };
      net.backend_.norm_groups(qkv_tn, 0, groups(query, norms.query.weight),
                               norms.query.weight, c.norm_epsilon);
      net.backend_.norm_groups(qkv_tn, query, groups(key, norms.key.weight),
                               norms.key.weight, c.norm_epsilon);
    }
    net.backend_.rotate_and_store(qkv_tn, pages,
                                  net.rotary(layer, positions), layer, c.heads,
                                  c.kv_heads);
    return net.backend_.attend(qkv_tn, pages, layer, c.heads, c.kv_heads,
                               {.window = c.attention(layer).window,
                                .scale = c.attention_scale(),
                                .cap = c.block.attention_cap});
  }

  at::Tensor attention_output(std::int64_t layer,
                              const at::Tensor& x_tq) override {
    return net.apply(at(layer, attention_out), x_tq, context);
  }

  at::Tensor mlp(std::int64_t layer, const at::Tensor& x_th) override {
    const auto& block = net.config_.block;
    const auto in = net.apply(at(layer, gate_up), x_th, context);
    return net.apply(at(layer, down),
                     block.gated ? net.backend_.gated(in, block.activation)
                                 : net.backend_.activate(in, block.activation),
                     context);
  }

  static std::size_t at(std::int64_t layer, std::size_t linear) {
    return static_cast<std::size_t>(layer) * linears_per_layer + linear;
  }

  transformer& net;
  kernels::step_pages pages;
  const step_context& context;
  std::int64_t positions;
};

/// Rows of the tokens, and of their positions where those are learnt: float32.
/// Of an adapted embedding a row is E_t + (U_t ⊙ d) Vᵀ.
at::Tensor transformer::embed(const packed_step& step,
                              const step_deltas& deltas) const {
  const auto index_t = to_index(step.tokens, device_);
  auto x_th = rest_.embedding_vh.index_select(0, index_t).to(at::kFloat);
  const std::array embedding{projection{
      .layer = projection::no_layer,
      .kind = projection_kind::embedding,
      .weight = {},
      .out_features = config_.vocabulary,
      .in_features = config_.hidden}};
  const auto d_gr = deltas.columns(embedding);
  if (d_gr.defined()) {
    const auto first = deltas.first_adapted();
    const auto count = x_th.size(0) - first;
    auto u_ar =
        embedding_.u_mr.index_select(0, index_t.narrow(0, first, count));
    backend_.scale_rows(u_ar, d_gr, {},
                        deltas.rows().subspan(static_cast<std::size_t>(first)));
    x_th.narrow(0, first, count).add_(at::mm(u_ar, embedding_.v_nr.t()));
  }
  if (config_.block.embedding_scale != 1)
    x_th.mul_(config_.block.embedding_scale);
  for (const auto& [begin, rows_th] : step.embedded)
    x_th.narrow(0, begin, rows_th.size(0)).copy_(rows_th);
  if (rest_.positions_ph.defined()) {
    std::vector<token_id> positions;
    for (const auto& span : step.spans)
      for (auto t = span.begin; t < span.end; ++t)
        positions.push_back(
            static_cast<token_id>(span.position + (t - span.begin)));
    x_th.add_(rest_.positions_ph.index_select(0, to_index(positions, device_)));
  }
  return x_th;
}

/// The head under each row's delta: through a copy of its mixture where there
/// is one, else W x + ((x V) ⊙ d) Uᵀ. float32 [rows, V].
at::Tensor transformer::run_head(const head_rows& rows) {
  const auto last = linears_.size() - 1;
  const std::vector<std::int64_t> ones(rows.deltas.size(), 1);
  const step_deltas deltas{config_, rows.deltas, ones, device_};
  copies dense;
  auto plan = linear_plan::base;
  if (!deltas.all_base()) {
    plan = linear_plan::delta;
    if (forced_ == linear_plan::factored)
      plan = linear_plan::factored;
    else if (forced_ != linear_plan::delta && find_copies(deltas, dense))
      plan = linear_plan::grouped_dense;
  }
  auto logits_rv = apply(last, rows.hidden_rh,
                         {deltas, plan, std::move(dense), rows.weights, false})
                       .to(at::kFloat);
  const auto cap = config_.block.logit_cap;
  return cap > 0 ? logits_rv.div_(cap).tanh_().mul_(cap) : logits_rv;
}

std::unique_ptr<kv_store> transformer::make_store(std::int64_t pages) const {
  return backend_.make_store(config_, dtype_, device_, pages);
}

result<head_rows> transformer::forward(const packed_step& step,
                                       kv_store& store) {
  const c10::InferenceMode inference;
  std::vector<std::int64_t> counts;
  std::int64_t positions = 0;
  for (const auto& span : step.spans) {
    counts.push_back(span.end - span.begin);
    positions = std::max(positions, span.position + counts.back());
  }
  // A step of training is one mixture for all.
  const std::vector<delta_ref> trained(
      step.spans.size(), step.weights ? step.weights->embedding : nullptr);
  const step_deltas deltas{config_, step.weights ? trained : step.deltas,
                           counts, device_};
  copies dense;
  auto plan = choose_plan(deltas, dense);
  if (!plan) return plan.error();
  const bool thin =
      delta_rank_ > 0 && step.may_truncate &&
      (*plan == linear_plan::factored || *plan == linear_plan::delta);
  if (thin) {
    plan = linear_plan::delta;
    use_thin(deltas);
  }
  ++plan_steps_[static_cast<std::size_t>(*plan)];
  const step_context context{deltas, *plan, std::move(dense), step.weights,
                             thin};
  step_operations operations{*this, step, store, context, positions};
  residual_stream stream{.residual_th = embed(step, deltas)};
  run_layers(config_, rest_, operations, stream);
  if (step.logit_rows.size() < step.tokens.size()) {
    std::vector<std::int64_t> rows = step.logit_rows;
    const auto index =
        at::from_blob(rows.data(), {static_cast<std::int64_t>(rows.size())},
                      at::kLong)
            .to(device_);
    stream.residual_th = stream.residual_th.index_select(0, index);
    stream.update_th = stream.update_th.index_select(0, index);
  }
  head_rows out{.hidden_rh = operations.add_norm(
                    stream.residual_th, stream.update_th, rest_.final_norm),
                .deltas = {},
                .weights = step.weights};
  if (deltas.adapt(linears_.back().factored()))
    for (const auto row : step.logit_rows) {
      const auto of = deltas.rows()[static_cast<std::size_t>(row)];
      out.deltas.push_back(
          of < 0 ? nullptr : deltas.distinct()[static_cast<std::size_t>(of)]);
    }
  return out;
}

}  // namespace t2
