#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "config/result.hpp"
#include "model/adapted_weights.hpp"
#include "model/checkpoint.hpp"
#include "model/decoder_block.hpp"
#include "model/dense_copies.hpp"
#include "model/kernels.hpp"
#include "model/linear_plan.hpp"
#include "model/model_config.hpp"
#include "model/plan_costs.hpp"
#include "model/svd_cache.hpp"
#include "model/svf_linear.hpp"
#include "text/tokenizer.hpp"

namespace t2 {

/// Rows [begin, begin + rows) of a step, as the first layer takes them.
struct embedded_rows {
  std::int64_t begin = 0;
  at::Tensor rows_th;  // float32 [rows, H], on the device
};

/// A packed ragged batch: prefill chunks, decode rows and texts to score
/// beside each other, each span of consecutive tokens under its own delta.
struct packed_step {
  std::vector<token_id> tokens;                 // T
  std::vector<kernels::attention_span> spans;   // cover 0 .. T in order
  std::vector<kernels::page_fork> forks = {};
  std::vector<delta_ref> deltas;                // one for each span
  std::vector<std::int64_t> logit_rows;         // of the T tokens, ascending
  /// Rows that are no tokens but embedded already (a picture's): they take the
  /// place of what their tokens would be looked up as.
  std::vector<embedded_rows> embedded = {};
  /// Weights that all spans run under in place of their deltas' (training:
  /// the W' of the parameters of a step); null: none.
  const adapted_weights* weights = nullptr;
  /// May run truncated (set_delta_rank).
  bool may_truncate = false;
};

/// Rows behind the last norm, and what their head runs under.
struct head_rows {
  at::Tensor hidden_rh;           // [rows, H], in the compute type
  std::vector<delta_ref> deltas;  // of each row; empty: no head is adapted
  const adapted_weights* weights = nullptr;  // as packed_step has it

  std::int64_t size() const { return hidden_rh.size(0); }
  head_rows pick(const std::vector<std::int64_t>& rows) const;
  head_rows slice(std::int64_t begin, std::int64_t count) const;
};

/// A decoder over packed steps. Weights are immutable;
/// factors, dense copies and the rotary table grow on use: one thread.
class transformer {
 public:
  /// `backend`: null: the one for the device and type.
  static result<std::unique_ptr<transformer>> load(
      const model_config& config, const checkpoint& weights,
      const svd_cache& svd, c10::ScalarType dtype, c10::Device device,
      const kernels::backend* backend = nullptr);

  /// Runs a step and stores its keys and values in the spans' pages. Returns the
  /// rows of logit_rows.
  result<head_rows> forward(const packed_step& step, kv_store& store);
  /// Room for keys and values: so many pages.
  std::unique_ptr<kv_store> make_store(std::int64_t pages) const;

  /// float32 [rows, V] on the CPU.
  at::Tensor logits(const head_rows& rows);
  /// log p(targets[i]) under row rows[i], rows not falling; each row is
  /// normalised once, and the vocabulary's logits of at most about 32 MiB exist
  /// at a time.
  std::vector<float> log_probabilities(const head_rows& of,
                                       std::span<const std::int64_t> rows,
                                       std::span<const token_id> targets);

  /// Runs every adapted row under this plan (tests, benchmarks); none: the
  /// cheapest by costs().
  void force_plan(std::optional<linear_plan> plan) { forced_ = plan; }
  /// Steps that may, run adapted rows without a dense copy on the `rank`
  /// directions of each projection in which the mixtures in use move most: an
  /// approximation (docs/benchmarks.md has its price). 0: exact.
  void set_delta_rank(std::int64_t rank);
  /// What plans are chosen by; an estimate until it is set.
  void set_costs(plan_costs costs) { costs_ = std::move(costs); }
  const plan_costs& costs() const { return costs_; }
  void set_dense_budget(std::int64_t bytes) { dense_ = dense_copies{bytes}; }
  const dense_copies& dense() const { return dense_; }
  /// Steps by the plan that their adapted rows ran under.
  const std::array<std::uint64_t, 5>& plan_steps() const { return plan_steps_; }
  /// Builds the dense copy of a mixture now, e.g. before its first query.
  result<void> warm(const delta_ref& delta);

  const model_config& config() const { return config_; }
  c10::ScalarType dtype() const { return dtype_; }
  c10::Device device() const { return device_; }

  // What training needs of the base (svf_training.cpp).
  std::vector<svf_linear>& linears() { return linears_; }
  const decoder_weights& weights() const { return rest_; }
  /// The head, which may be the embedding: the last of linears().
  const svf_linear& head() const { return linears_.back(); }
  /// U, s and V of the embedding, where a layout has adapted it.
  const svd_factors& embedding_factors() const { return embedding_; }
  /// The table of a layer, of at least so many positions.
  const kernels::rotary_table& rotary(std::int64_t layer,
                                      std::int64_t positions);
  /// All that layers name.
  std::span<const kernels::rotary_table> rotary_tables(std::int64_t positions);

  result<void> load_factors(const svf_layout& layout);
  /// Index of the linear that holds a projection; the embedding's is the
  /// head's, to which it may be tied.
  std::size_t linear_of(std::int64_t layer, projection_kind kind) const;

 private:
  using copies = std::vector<std::shared_ptr<const dense_copies::weights>>;
  struct step_context;
  struct step_operations;
  void use_thin(const step_deltas& deltas);
  at::Tensor embed(const packed_step& step, const step_deltas& deltas) const;
  at::Tensor run_head(const head_rows& rows);

  transformer(const model_config& config, const checkpoint& weights,
              const svd_cache& svd, c10::ScalarType dtype, c10::Device device,
              const kernels::backend& backend);
  result<linear_plan> choose_plan(const step_deltas& deltas, copies& dense);
  bool find_copies(const step_deltas& deltas, copies& dense);
  void rent(const step_deltas& deltas, const linear_shares& adapted,
            double saved_seconds);
  dense_copies::weights build_dense(const singular_delta& delta) const;
  at::Tensor apply(std::size_t linear, const at::Tensor& x_tn,
                   const step_context& context) const;

  model_config config_;
  checkpoint checkpoint_;
  svd_cache svd_;
  c10::ScalarType dtype_;
  c10::Device device_;
  const kernels::backend& backend_;
  std::optional<linear_plan> forced_;
  std::array<std::uint64_t, 5> plan_steps_{};
  dense_copies dense_{std::int64_t{1} << 30};
  plan_costs costs_;
  std::int64_t delta_rank_ = 0;
  std::vector<delta_ref> thin_of_;     // the mixtures that thin_ is made for
  std::vector<thin_factors> thin_;     // one for each linear that they adapt

  decoder_weights rest_;     // the embeddings as stored
  svd_factors embedding_;    // float32, on the device
  std::vector<svf_linear> linears_;   // four for each layer, and the head
  std::array<kernels::rotary_table, 2> rotary_;
  const kernels::rotary_table no_rotary_;
};

}  // namespace t2
