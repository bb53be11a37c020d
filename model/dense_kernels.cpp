#include "model/dense_kernels.hpp"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "model/simd.hpp"

namespace t2::dense_kernels {
namespace {

using simd::f16;
using simd::lanes;
using std::int64_t;
using bf16 = c10::BFloat16;

// Rows of one task. A constant: sums over rows are cut here.
constexpr int64_t rows_per_task = 64;
// Entries of one task of the flat loops.
constexpr int64_t entries_per_task = 1 << 15;

int64_t tasks_of(int64_t count, int64_t per_task) {
  return (count + per_task - 1) / per_task;
}

/// work(begin, end, task) over [0, count), cut at multiples of `per_task`.
template <class Work>
void for_tasks(int64_t count, int64_t per_task, const Work& work) {
  at::parallel_for(0, tasks_of(count, per_task), 1,
                   [&](int64_t first, int64_t last) {
                     for (int64_t i = first; i < last; ++i)
                       work(i * per_task,
                            std::min(count, (i + 1) * per_task), i);
                   });
}

/// Calls `use` with null pointers of the tensor's element type.
template <class Use>
void by_type(const at::Tensor& compute, const Use& use) {
  if (compute.scalar_type() == at::kBFloat16)
    use(static_cast<bf16*>(nullptr));
  else
    use(static_cast<float*>(nullptr));
}

template <class X>
X* data(const at::Tensor& t) {
  return t.defined() ? t.mutable_data_ptr<X>() : nullptr;
}

// --- RMS norm --------------------------------------------------------------

template <class X>
T2_INLINE void norm_task(const float* x, const X* update, const float* weight,
                         float* sum, float* scale, X* out, int64_t hidden,
                         float epsilon, int64_t begin, int64_t end) {
  for (int64_t t = begin; t < end; ++t) {
    const float* row = x + t * hidden;
    f16 squares = simd::splat(0);
    for (int64_t h = 0; h < hidden; h += lanes) {
      f16 v = simd::load(row + h);
      if (update) {
        v += simd::load(update + t * hidden + h);
        simd::store(sum + t * hidden + h, v);
      }
      squares += v * v;
    }
    if (update) row = sum + t * hidden;
    const float mean = simd::sum(squares) / static_cast<float>(hidden);
    scale[t] = 1.f / std::sqrt(mean + epsilon);
    for (int64_t h = 0; h < hidden; h += lanes)
      simd::store(out + t * hidden + h,
                  simd::load(row + h) * scale[t] * simd::load(weight + h));
  }
}

T2_CLONES void norm_rows(const float* x, const float* u, const float* w,
                         float* s, float* r, float* y, int64_t hidden,
                         float eps, int64_t b, int64_t e) {
  norm_task(x, u, w, s, r, y, hidden, eps, b, e);
}
T2_CLONES void norm_rows(const float* x, const bf16* u, const float* w,
                         float* s, float* r, bf16* y, int64_t hidden,
                         float eps, int64_t b, int64_t e) {
  norm_task(x, u, w, s, r, y, hidden, eps, b, e);
}

// With n = x · r: ∂L/∂x = r (g w − n · mean(g w n)), ∂L/∂w = Σ_t g n.
template <class X>
T2_INLINE void norm_backward_task(const X* g, const float* x,
                                  const float* scale, const float* weight,
                                  float* gradient, X* copy, float* of_weight,
                                  int64_t hidden, int64_t begin, int64_t end) {
  for (int64_t t = begin; t < end; ++t) {
    const X* g_row = g + t * hidden;
    const float* x_row = x + t * hidden;
    const float r = scale[t];
    f16 dot = simd::splat(0);
    for (int64_t h = 0; h < hidden; h += lanes) {
      const f16 gv = simd::load(g_row + h);
      const f16 n = simd::load(x_row + h) * r;
      simd::store(of_weight + h, simd::load(of_weight + h) + gv * n);
      dot += gv * simd::load(weight + h) * n;
    }
    const float mean = simd::sum(dot) / static_cast<float>(hidden);
    float* out = gradient + t * hidden;
    for (int64_t h = 0; h < hidden; h += lanes) {
      const f16 n = simd::load(x_row + h) * r;
      const f16 v =
          simd::load(out + h) +
          (simd::load(g_row + h) * simd::load(weight + h) - n * mean) * r;
      simd::store(out + h, v);
      simd::store(copy + t * hidden + h, v);
    }
  }
}

T2_CLONES void norm_backward_rows(const float* g, const float* x,
                                  const float* r, const float* w, float* d,
                                  float* c, float* dw, int64_t hidden,
                                  int64_t b, int64_t e) {
  norm_backward_task(g, x, r, w, d, c, dw, hidden, b, e);
}
T2_CLONES void norm_backward_rows(const bf16* g, const float* x,
                                  const float* r, const float* w, float* d,
                                  bf16* c, float* dw, int64_t hidden,
                                  int64_t b, int64_t e) {
  norm_backward_task(g, x, r, w, d, c, dw, hidden, b, e);
}

// --- silu ⊙ up -------------------------------------------------------------

template <class X>
T2_INLINE void silu_task(const X* gate_up, X* out, int64_t width,
                         int64_t begin, int64_t end) {
  for (int64_t t = begin; t < end; ++t) {
    const X* gate = gate_up + t * 2 * width;
    const X* up = gate + width;
    for (int64_t i = 0; i < width; i += lanes) {
      const f16 g = simd::load(gate + i);
      simd::store(out + t * width + i,
                  g / (1.f + simd::exponential(-g)) * simd::load(up + i));
    }
  }
}

T2_CLONES void silu_rows(const float* in, float* out, int64_t width, int64_t b,
                         int64_t e) {
  silu_task(in, out, width, b, e);
}
T2_CLONES void silu_rows(const bf16* in, bf16* out, int64_t width, int64_t b,
                         int64_t e) {
  silu_task(in, out, width, b, e);
}

template <class X>
T2_INLINE void silu_backward_task(const X* g, X* gate_up, int64_t width,
                                  int64_t begin, int64_t end) {
  for (int64_t t = begin; t < end; ++t) {
    X* gate = gate_up + t * 2 * width;
    X* up = gate + width;
    for (int64_t i = 0; i < width; i += lanes) {
      const f16 a = simd::load(gate + i);
      const f16 u = simd::load(up + i);
      const f16 d = simd::load(g + t * width + i);
      const f16 s = 1.f / (1.f + simd::exponential(-a));
      simd::store(up + i, d * a * s);
      simd::store(gate + i, d * u * s * (1.f + a * (1.f - s)));
    }
  }
}

T2_CLONES void silu_backward_rows(const float* g, float* in, int64_t width,
                                  int64_t b, int64_t e) {
  silu_backward_task(g, in, width, b, e);
}
T2_CLONES void silu_backward_rows(const bf16* g, bf16* in, int64_t width,
                                  int64_t b, int64_t e) {
  silu_backward_task(g, in, width, b, e);
}

// --- cross entropy ---------------------------------------------------------

template <class X>
T2_INLINE double entropy_task(X* logits, const std::int32_t* target,
                              const float* weight, int64_t width,
                              int64_t begin, int64_t end) {
  const int64_t whole = width - width % lanes;
  double loss = 0;
  for (int64_t a = begin; a < end; ++a) {
    X* row = logits + a * width;
    f16 most = simd::splat(-HUGE_VALF);
    for (int64_t v = 0; v < whole; v += lanes)
      most = simd::maximum(most, simd::load(row + v));
    float top = -HUGE_VALF;
    for (int i = 0; i < lanes; ++i) top = std::max(top, most[i]);
    for (int64_t v = whole; v < width; ++v)
      top = std::max(top, simd::to_float(row[v]));
    const float chosen = simd::to_float(row[target[a]]) - top;
    f16 sums = simd::splat(0);
    for (int64_t v = 0; v < whole; v += lanes)
      sums += simd::exponential(simd::load(row + v) - top);
    float sum = simd::sum(sums);
    for (int64_t v = whole; v < width; ++v)
      sum += std::exp(simd::to_float(row[v]) - top);
    loss += static_cast<double>(weight[a]) *
            (std::log(static_cast<double>(sum)) - static_cast<double>(chosen));
    const float by = weight[a] / sum;
    for (int64_t v = 0; v < whole; v += lanes)
      simd::store(row + v, simd::exponential(simd::load(row + v) - top) * by);
    for (int64_t v = whole; v < width; ++v)
      row[v] = static_cast<X>(std::exp(simd::to_float(row[v]) - top) * by);
    row[target[a]] =
        static_cast<X>((std::exp(chosen) / sum - 1.f) * weight[a]);
  }
  return loss;
}

T2_CLONES double entropy_rows(float* logits, const std::int32_t* target,
                              const float* weight, int64_t width, int64_t b,
                              int64_t e) {
  return entropy_task(logits, target, weight, width, b, e);
}
T2_CLONES double entropy_rows(bf16* logits, const std::int32_t* target,
                              const float* weight, int64_t width, int64_t b,
                              int64_t e) {
  return entropy_task(logits, target, weight, width, b, e);
}

// --- AdamW -----------------------------------------------------------------

struct adamw_numbers {
  float beta1, beta2, epsilon, keep, rate, root, scale;
};

T2_INLINE void adamw_one(f16& p, f16& m, f16& v, f16 g,
                         const adamw_numbers& n) {
  g *= n.scale;
  m = m * n.beta1 + g * (1.f - n.beta1);
  v = v * n.beta2 + g * g * (1.f - n.beta2);
  f16 root;
  for (int i = 0; i < lanes; ++i) root[i] = std::sqrt(v[i]);
  p = p * n.keep - n.rate * m / (root * n.root + n.epsilon);
}

template <class X>
T2_INLINE void adamw_entries(float* p, float* m, float* v, const float* g,
                             X* copy, const adamw_numbers& n, int64_t begin,
                             int64_t end) {
  for (int64_t i = begin; i < end; i += lanes) {
    const auto count = static_cast<std::size_t>(std::min(lanes, end - i));
    f16 pv{}, mv{}, vv{}, gv{};
    std::memcpy(&pv, p + i, 4 * count);
    std::memcpy(&mv, m + i, 4 * count);
    std::memcpy(&vv, v + i, 4 * count);
    std::memcpy(&gv, g + i, 4 * count);
    adamw_one(pv, mv, vv, gv, n);
    std::memcpy(p + i, &pv, 4 * count);
    std::memcpy(m + i, &mv, 4 * count);
    std::memcpy(v + i, &vv, 4 * count);
    if (copy) {
      X rounded[lanes];
      simd::store(rounded, pv);
      std::memcpy(copy + i, rounded, sizeof(X) * count);
    }
  }
}

T2_CLONES void adamw_task(float* p, float* m, float* v, const float* g,
                          float* copy, const adamw_numbers& n, int64_t b,
                          int64_t e) {
  adamw_entries(p, m, v, g, copy, n, b, e);
}
T2_CLONES void adamw_task(float* p, float* m, float* v, const float* g,
                          bf16* copy, const adamw_numbers& n, int64_t b,
                          int64_t e) {
  adamw_entries(p, m, v, g, copy, n, b, e);
}

}  // namespace

void add_rms_norm(const at::Tensor& x_th, const at::Tensor& update_th,
                  const at::Tensor& weight_h, double epsilon,
                  at::Tensor& sum_th, at::Tensor& scale_t,
                  at::Tensor& out_th) {
  by_type(out_th, [&](auto* type) {
    using X = std::remove_pointer_t<decltype(type)>;
    for_tasks(x_th.size(0), rows_per_task,
              [&](int64_t begin, int64_t end, int64_t) {
                norm_rows(data<float>(x_th), data<X>(update_th),
                          data<float>(weight_h), data<float>(sum_th),
                          data<float>(scale_t), data<X>(out_th), x_th.size(1),
                          static_cast<float>(epsilon), begin, end);
              });
  });
}

void rms_norm_backward(const at::Tensor& g_th, const at::Tensor& x_th,
                       const at::Tensor& scale_t, const at::Tensor& weight_h,
                       at::Tensor& gradient_th, at::Tensor& copy_th,
                       at::Tensor weight_gradient_h) {
  const int64_t hidden = x_th.size(1);
  const int64_t tasks = tasks_of(x_th.size(0), rows_per_task);
  std::vector<float> parts(static_cast<std::size_t>(tasks * hidden));
  by_type(g_th, [&](auto* type) {
    using X = std::remove_pointer_t<decltype(type)>;
    for_tasks(x_th.size(0), rows_per_task,
              [&](int64_t begin, int64_t end, int64_t task) {
                norm_backward_rows(
                    data<X>(g_th), data<float>(x_th), data<float>(scale_t),
                    data<float>(weight_h), data<float>(gradient_th),
                    data<X>(copy_th), parts.data() + task * hidden, hidden,
                    begin, end);
              });
  });
  auto* sum = data<float>(weight_gradient_h);
  for (int64_t task = 0; task < tasks; ++task)
    for (int64_t h = 0; h < hidden; ++h)
      sum[h] += parts[static_cast<std::size_t>(task * hidden + h)];
}

void silu_multiply(const at::Tensor& gate_up_t2i, at::Tensor& out_ti) {
  by_type(out_ti, [&](auto* type) {
    using X = std::remove_pointer_t<decltype(type)>;
    for_tasks(out_ti.size(0), rows_per_task,
              [&](int64_t begin, int64_t end, int64_t) {
                silu_rows(data<X>(gate_up_t2i), data<X>(out_ti),
                          out_ti.size(1), begin, end);
              });
  });
}

void silu_multiply_backward(const at::Tensor& g_ti, at::Tensor& gate_up_t2i) {
  by_type(g_ti, [&](auto* type) {
    using X = std::remove_pointer_t<decltype(type)>;
    for_tasks(g_ti.size(0), rows_per_task,
              [&](int64_t begin, int64_t end, int64_t) {
                silu_backward_rows(data<X>(g_ti), data<X>(gate_up_t2i),
                                   g_ti.size(1), begin, end);
              });
  });
}

double cross_entropy(at::Tensor& logits_av,
                     std::span<const std::int32_t> targets,
                     std::span<const float> weights) {
  const auto rows = static_cast<int64_t>(targets.size());
  std::vector<double> parts(
      static_cast<std::size_t>(tasks_of(rows, rows_per_task)));
  by_type(logits_av, [&](auto* type) {
    using X = std::remove_pointer_t<decltype(type)>;
    for_tasks(rows, rows_per_task,
              [&](int64_t begin, int64_t end, int64_t task) {
                parts[static_cast<std::size_t>(task)] =
                    entropy_rows(data<X>(logits_av), targets.data(),
                                 weights.data(), logits_av.size(1), begin, end);
              });
  });
  if (rows < logits_av.size(0))
    logits_av.narrow(0, rows, logits_av.size(0) - rows).zero_();
  double loss = 0;
  for (const double part : parts) loss += part;
  return loss;
}

void adamw(at::Tensor parameter, at::Tensor first_moment,
           at::Tensor second_moment, const at::Tensor& gradient,
           at::Tensor copy, const adamw_settings& s) {
  const auto t = static_cast<double>(s.step);
  const double bias1 = 1 - std::pow(s.beta1, t);
  const double bias2 = 1 - std::pow(s.beta2, t);
  const adamw_numbers numbers{
      static_cast<float>(s.beta1),
      static_cast<float>(s.beta2),
      static_cast<float>(s.epsilon),
      static_cast<float>(1 - s.learning_rate * s.weight_decay),
      static_cast<float>(s.learning_rate / bias1),
      static_cast<float>(1 / std::sqrt(bias2)),
      static_cast<float>(s.scale)};
  by_type(copy.defined() ? copy : parameter, [&](auto* type) {
    using X = std::remove_pointer_t<decltype(type)>;
    for_tasks(parameter.numel(), entries_per_task,
              [&](int64_t begin, int64_t end, int64_t) {
                adamw_task(data<float>(parameter), data<float>(first_moment),
                           data<float>(second_moment), data<float>(gradient),
                           data<X>(copy), numbers, begin, end);
              });
  });
}

double sum_of_squares(const at::Tensor& flat) {
  std::vector<double> parts(
      static_cast<std::size_t>(tasks_of(flat.numel(), entries_per_task)));
  const auto* x = flat.const_data_ptr<float>();
  for_tasks(flat.numel(), entries_per_task,
            [&](int64_t begin, int64_t end, int64_t task) {
              double sum = 0;
              for (int64_t i = begin; i < end; ++i)
                sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
              parts[static_cast<std::size_t>(task)] = sum;
            });
  double sum = 0;
  for (const double part : parts) sum += part;
  return sum;
}

}  // namespace t2::dense_kernels
