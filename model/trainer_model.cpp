#include "model/trainer_model.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <exception>
#include <string>

#include "config/first_line.hpp"
#include "model/language_model.hpp"
#include "model/transformer.hpp"

namespace t2 {

trainer_model::trainer_model(std::shared_ptr<language_model> model,
                             std::unique_ptr<adapted_linears> linears,
                             kl_direction direction)
    : model_(std::move(model)),
      linears_(std::move(linears)),
      base_(model_->network()),
      direction_(direction),
      fused_(model_->network()) {
  const c10::InferenceMode off{false};
  head_vh_ = model_->network().head().plain();
}

trainer_model::~trainer_model() = default;

loss_head trainer_model::head() const {
  const auto& adapted_vh = linears_->head();
  loss_head out{adapted_vh.defined() ? adapted_vh : head_vh_, head_vh_};
  out.cap = model_->config().block.logit_cap;
  if (!adapted_vh.defined()) return out;
  out.backward = [this](const at::Tensor& hidden_nh,
                        const at::Tensor& d_logits_nv) {
    linears_->head_backward(hidden_nh,
                            d_logits_nv.to(hidden_nh.scalar_type()));
  };
  return out;
}

answer_loss trainer_model::run_graph(const packed_rows& batch, bool with_base,
                                     bool with_gradient) {
  auto& net = model_->network();
  const auto rotary = net.rotary_tables(batch.ids_bl.size(1));
  const auto hidden = [&](const trainable_linears& linears) {
    return hidden_states(net.config(), net.weights(), rotary, linears,
                         net.dtype(), batch.ids_bl)
        .index_select(0, batch.place_a);
  };
  at::Tensor base_ah;
  if (with_base) {
    const at::NoGradGuard no_gradient;
    base_ah = hidden(base_);
  }
  const at::AutoGradMode mode{with_gradient};
  const auto hidden_ah = hidden(*linears_);
  auto loss = policy_loss(hidden_ah, base_ah, head(), batch, direction_,
                          with_gradient);
  if (with_gradient) hidden_ah.backward(loss.grad_hidden_ah);
  return loss;
}

answer_loss trainer_model::run_fused(std::span<const training_row> rows,
                                     std::span<const std::size_t> chosen,
                                     const packed_rows& batch, bool with_base,
                                     bool with_gradient) {
  std::vector<token_id> tokens;
  std::vector<dense_kernels::document_span> spans;
  auto places = at::empty_like(batch.place_a);
  auto* place = places.mutable_data_ptr<std::int64_t>();
  for (const auto i : chosen) {
    const auto& row = rows[i];
    const auto begin = static_cast<std::int64_t>(tokens.size());
    tokens.insert(tokens.end(), row.tokens.begin(), row.tokens.end() - 1);
    spans.push_back({begin, static_cast<std::int64_t>(tokens.size())});
    for (auto t = row.answer_begin; t < row.tokens.size(); ++t)
      *place++ = begin + static_cast<std::int64_t>(t) - 1;
  }
  const auto hidden = [&](const adapted_linears* linears) {
    return fused_.forward(tokens, spans, linears).index_select(0, places);
  };
  const at::NoGradGuard no_gradient;
  const auto base_ah = with_base ? hidden(nullptr) : at::Tensor{};
  const auto hidden_ah = hidden(linears_.get());
  auto loss = policy_loss(hidden_ah, base_ah, head(), batch, direction_,
                          with_gradient);
  if (with_gradient) {
    auto g_th = at::zeros({static_cast<std::int64_t>(tokens.size()),
                           hidden_ah.size(1)},
                          hidden_ah.options());
    g_th.index_copy_(0, places, loss.grad_hidden_ah);
    fused_.backward(g_th, spans, *linears_);
  }
  return loss;
}

void trainer_model::run(std::span<const training_row> rows,
                        std::span<const std::size_t> chosen,
                        bool with_gradient, training_loss& out) {
  const auto batch = pack(rows, chosen, model_->device());
  const bool with_base =
      std::ranges::any_of(batch.kl_weights, [](float w) { return w != 0; });
  const auto loss =
      !forced_graph_ && fused_pass::supports(model_->network()) &&
              !linears_->adapts_embedding()
          ? run_fused(rows, chosen, batch, with_base, with_gradient)
          : run_graph(batch, with_base, with_gradient);
  out.loss += loss.loss;
  for (std::size_t a = 0; a < batch.owners.size(); ++a) {
    out.log_probabilities[batch.owners[a]] += loss.log_probabilities[a];
    if (batch.kl_weights[a] != 0)
      out.divergences[batch.owners[a]] += loss.divergences[a];
  }
}

result<training_loss> trainer_model::run_all(
    std::span<const training_row> rows, std::int64_t tokens_per_pass,
    bool with_gradient) {
  const auto& c = model_->config();
  for (const auto& row : rows)
    if (auto ok = check(row, c.vocabulary, c.max_positions); !ok)
      return ok.error();
  training_loss out;
  out.log_probabilities.resize(rows.size());
  out.divergences.resize(rows.size());
  try {
    const c10::InferenceMode off{false};
    linears_->zero_gradient();
    for (const auto& chosen : make_passes(rows, tokens_per_pass))
      run(rows, chosen, with_gradient, out);
    if (with_gradient) out.gradient = linears_->gradient();
  } catch (const std::exception& e) {
    return error{ec::internal, "training step failed: " + first_line(e.what())};
  }
  return out;
}

result<training_loss> trainer_model::loss_and_gradient(
    std::span<const training_row> rows, std::int64_t tokens_per_pass) {
  return run_all(rows, tokens_per_pass, true);
}

result<training_loss> trainer_model::loss(std::span<const training_row> rows,
                                          std::int64_t tokens_per_pass) {
  return run_all(rows, tokens_per_pass, false);
}

}  // namespace t2
