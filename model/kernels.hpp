#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "model/kv_store.hpp"
#include "model/model_config.hpp"

/// What runs between the linear maps of a step.
///
/// Letters: T tokens of a step, H hidden, I intermediate, Q query heads × head
/// dim, K key-value heads × head dim, D head dim, R ranks, G distinct deltas.
namespace t2::kernels {

/// How scores s = scale · q · k become weights: of keys further back than
/// `window` > 0 nothing is seen; `cap` > 0 makes s cap · tanh(s / cap).
struct attention_rule {
  std::int64_t window = 0;
  double scale = 1;
  double cap = 0;
};

/// Rotary tables: float32 [positions, R/2], of the first R entries of a head.
/// Undefined: nothing is rotated.
struct rotary_table {
  at::Tensor cos_pd, sin_pd;
};

/// Tokens [begin, end) of a step are consecutive tokens of one sequence; the first
/// has position `position`. `pages` are the sequence's from its first position on,
/// at least up to the span's last.
struct attention_span {
  std::int64_t begin = 0, end = 0;
  std::int64_t position = 0;
  std::vector<page_id> pages = {};
};

/// The first `tokens` slots of page `from` are copied into page `to`: a sequence
/// goes on from the middle of another's page.
struct page_fork {
  page_id from = 0, to = 0;
  std::int32_t tokens = 0;
};

/// Where a step reads and writes keys and values. A span may read pages that
/// another span of the step writes: each layer writes before it reads. Forks are
/// copied in between, in their order, and may copy what this step writes.
struct step_pages {
  kv_store& store;
  std::span<const attention_span> spans;
  std::span<const page_fork> forks = {};
};

/// These operations on one kind of device. All tensors of a call are on the
/// device, in the compute type unless a comment says float32; rows may be
/// strided, weights are contiguous. Immutable; any thread.
class backend {
 public:
  virtual ~backend() = default;

  /// residual_th += update_th (compute type; if defined), then RMS-normalised
  /// and scaled by weight_h (float32), as `out`, the compute type. residual_th:
  /// float32.
  virtual at::Tensor add_rms_norm(at::Tensor& residual_th,
                                  const at::Tensor& update_th,
                                  const at::Tensor& weight_h, double epsilon,
                                  at::ScalarType out) const = 0;

  /// The same with a layer norm. bias_h: float32.
  virtual at::Tensor add_layer_norm(at::Tensor& residual_th,
                                    const at::Tensor& update_th,
                                    const at::Tensor& weight_h,
                                    const at::Tensor& bias_h, double epsilon,
                                    at::ScalarType out) const = 0;

  /// Of x_tn the columns [begin, begin + groups · width), in groups of width,
  /// each RMS-normalised and scaled by `weight` (float32 [width]), in place.
  virtual void norm_groups(at::Tensor& x_tn, std::int64_t begin,
                           std::int64_t groups, const at::Tensor& weight,
                           double epsilon) const = 0;

  /// silu, gelu or its approximation by tanh, of each entry.
  virtual at::Tensor activate(const at::Tensor& x,
                              activation_kind kind) const = 0;
  /// activation(gate) ⊙ up of gate_up_t2i = [gate | up] → [T, I].
  virtual at::Tensor gated(const at::Tensor& gate_up_t2i,
                           activation_kind kind) const = 0;

  /// p_tr[t] ⊙= d_gr[row[t]] + shift_r, d = 0 where row[t] < 0. d_gr, shift_r:
  /// float32; an undefined shift_r is 0, else it is the factored plan's s.
  virtual void scale_rows(at::Tensor& p_tr, const at::Tensor& d_gr,
                          const at::Tensor& shift_r,
                          std::span<const std::int32_t> row) const = 0;

  /// Room for so many pages of a model of this shape, in the layout that the
  /// operations below know. Memory is taken as pages are first written, where the
  /// system does that.
  virtual std::unique_ptr<kv_store> make_store(const model_config& config,
                                               at::ScalarType dtype,
                                               c10::Device device,
                                               std::int64_t pages) const = 0;

  /// Rotates queries (in place) and keys of qkv_tn = [q | k | v], stores keys and
  /// values of layer `layer` in the spans' pages, then copies the forks.
  virtual void rotate_and_store(at::Tensor& qkv_tn, const step_pages& pages,
                                const rotary_table& rotary, std::int64_t layer,
                                std::int64_t heads,
                                std::int64_t kv_heads) const = 0;

  /// Causal attention of every span over its sequence up to its own position.
  /// Returns [T, Q] of qkv's type.
  virtual at::Tensor attend(const at::Tensor& qkv_tn, const step_pages& pages,
                            std::int64_t layer, std::int64_t heads,
                            std::int64_t kv_heads,
                            const attention_rule& rule) const = 0;
};

/// What a model of this compute type runs on the device: asked once, when it is
/// loaded. Valid for ever.
const backend& backend_for(c10::Device device, at::ScalarType compute);

/// "cpu": our loops over float32 or bfloat16 rows in the CPU's memory.
/// "reference": ATen operators, on any device and in any type. Null: no such
/// backend.
const backend* find_backend(std::string_view name);

}  // namespace t2::kernels
