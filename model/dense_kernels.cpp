#include "model/dense_kernels.hpp"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "model/simd.hpp"

namespace t2::dense_kernels {
namespace {

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
  at::parallel_for(
      0, tasks_of(count, per_task), 1, [&](int64_t first, int64_t last) {
        for (int64_t i = first; i < last; ++i)
          work(i * per_task, std::min(count, (i + 1) * per_task), i);
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

struct norm_rows {
  template <class V, class X>
  static T2_INLINE void run(const float* x, const X* update,
                            const float* weight, float* sum, float* scale,
                            X* out, int64_t hidden, float epsilon,
                            int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const float* row = x + t * hidden;
      V squares = simd::splat<V>(0);
      for (int64_t h = 0; h < hidden; h += lanes) {
        V v = simd::load<V>(row + h);
        if (update) {
          v += simd::load<V>(update + t * hidden + h);
          simd::store(sum + t * hidden + h, v);
        }
        squares += v * v;
      }
      if (update) row = sum + t * hidden;
      const float mean = simd::sum(squares) / static_cast<float>(hidden);
      scale[t] = 1.f / std::sqrt(mean + epsilon);
      for (int64_t h = 0; h < hidden; h += lanes)
        simd::store(out + t * hidden + h, simd::load<V>(row + h) * scale[t] *
                                              simd::load<V>(weight + h));
    }
  }
};

// With n = x · r: ∂L/∂x = r (g w − n · mean(g w n)), ∂L/∂w = Σ_t g n.
struct norm_backward_rows {
  template <class V, class X>
  static T2_INLINE void run(const X* g, const float* x, const float* scale,
                            const float* weight, float* gradient, X* copy,
                            float* of_weight, int64_t hidden, int64_t begin,
                            int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const X* g_row = g + t * hidden;
      const float* x_row = x + t * hidden;
      const float r = scale[t];
      V dot = simd::splat<V>(0);
      for (int64_t h = 0; h < hidden; h += lanes) {
        const V gv = simd::load<V>(g_row + h);
        const V n = simd::load<V>(x_row + h) * r;
        simd::store(of_weight + h, simd::load<V>(of_weight + h) + gv * n);
        dot += gv * simd::load<V>(weight + h) * n;
      }
      const float mean = simd::sum(dot) / static_cast<float>(hidden);
      float* out = gradient + t * hidden;
      for (int64_t h = 0; h < hidden; h += lanes) {
        const V n = simd::load<V>(x_row + h) * r;
        const V v =
            simd::load<V>(out + h) +
            (simd::load<V>(g_row + h) * simd::load<V>(weight + h) - n * mean) *
                r;
        simd::store(out + h, v);
        simd::store(copy + t * hidden + h, v);
      }
    }
  }
};

// --- silu ⊙ up -------------------------------------------------------------

struct silu_rows {
  template <class V, class X>
  static T2_INLINE void run(const X* gate_up, X* out, int64_t width,
                            int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const X* gate = gate_up + t * 2 * width;
      const X* up = gate + width;
      for (int64_t i = 0; i < width; i += lanes) {
        const V g = simd::load<V>(gate + i);
        simd::store(out + t * width + i,
                    g / (1.f + simd::exponential(-g)) * simd::load<V>(up + i));
      }
    }
  }
};

struct silu_backward_rows {
  template <class V, class X>
  static T2_INLINE void run(const X* g, X* gate_up, int64_t width,
                            int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      X* gate = gate_up + t * 2 * width;
      X* up = gate + width;
      for (int64_t i = 0; i < width; i += lanes) {
        const V a = simd::load<V>(gate + i);
        const V u = simd::load<V>(up + i);
        const V d = simd::load<V>(g + t * width + i);
        const V s = 1.f / (1.f + simd::exponential(-a));
        simd::store(up + i, d * a * s);
        simd::store(gate + i, d * u * s * (1.f + a * (1.f - s)));
      }
    }
  }
};

// --- cross entropy ---------------------------------------------------------

struct entropy_rows {
  template <class V, class X>
  static T2_INLINE double run(X* logits, const std::int32_t* target,
                              const float* weight, int64_t width, int64_t begin,
                              int64_t end) {
    const int64_t whole = width - width % lanes;
    double loss = 0;
    for (int64_t a = begin; a < end; ++a) {
      X* row = logits + a * width;
      V most = simd::splat<V>(-HUGE_VALF);
      for (int64_t v = 0; v < whole; v += lanes)
        most = simd::maximum(most, simd::load<V>(row + v));
      float top = simd::largest(most);
      for (int64_t v = whole; v < width; ++v)
        top = std::max(top, simd::to_float(row[v]));
      const float chosen = simd::to_float(row[target[a]]) - top;
      V sums = simd::splat<V>(0);
      for (int64_t v = 0; v < whole; v += lanes)
        sums += simd::exponential(simd::load<V>(row + v) - top);
      float sum = simd::sum(sums);
      for (int64_t v = whole; v < width; ++v)
        sum += std::exp(simd::to_float(row[v]) - top);
      loss +=
          static_cast<double>(weight[a]) *
          (std::log(static_cast<double>(sum)) - static_cast<double>(chosen));
      const float by = weight[a] / sum;
      for (int64_t v = 0; v < whole; v += lanes)
        simd::store(row + v,
                    simd::exponential(simd::load<V>(row + v) - top) * by);
      for (int64_t v = whole; v < width; ++v)
        row[v] = static_cast<X>(std::exp(simd::to_float(row[v]) - top) * by);
      row[target[a]] =
          static_cast<X>((std::exp(chosen) / sum - 1.f) * weight[a]);
    }
    return loss;
  }
};

// --- AdamW -----------------------------------------------------------------

struct adamw_numbers {
  float beta1, beta2, epsilon, keep, rate, root, scale;
};

template <class V>
T2_INLINE void adamw_one(V& p, V& m, V& v, V g, const adamw_numbers& n) {
  g *= n.scale;
  m = m * n.beta1 + g * (1.f - n.beta1);
  v = v * n.beta2 + g * g * (1.f - n.beta2);
  p = p * n.keep - n.rate * m / (simd::root(v) * n.root + n.epsilon);
}

struct adamw_task {
  template <class V, class X>
  static T2_INLINE void run(float* p, float* m, float* v, const float* g,
                            X* copy, const adamw_numbers& n, int64_t begin,
                            int64_t end) {
    for (int64_t i = begin; i < end; i += lanes) {
      const int64_t count = std::min(lanes, end - i);
      V pv = simd::load_some<V>(p + i, count);
      V mv = simd::load_some<V>(m + i, count);
      V vv = simd::load_some<V>(v + i, count);
      adamw_one(pv, mv, vv, simd::load_some<V>(g + i, count), n);
      simd::store_some(p + i, pv, count);
      simd::store_some(m + i, mv, count);
      simd::store_some(v + i, vv, count);
      if (copy) simd::store_some(copy + i, pv, count);
    }
  }
};

}  // namespace

void add_rms_norm(const at::Tensor& x_th, const at::Tensor& update_th,
                  const at::Tensor& weight_h, double epsilon,
                  at::Tensor& sum_th, at::Tensor& scale_t, at::Tensor& out_th) {
  by_type(out_th, [&](auto* type) {
    using X = std::remove_pointer_t<decltype(type)>;
    for_tasks(
        x_th.size(0), rows_per_task, [&](int64_t begin, int64_t end, int64_t) {
          simd::run<norm_rows>(
              data<float>(x_th), data<X>(update_th), data<float>(weight_h),
              data<float>(sum_th), data<float>(scale_t), data<X>(out_th),
              x_th.size(1), static_cast<float>(epsilon), begin, end);
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
                simd::run<norm_backward_rows>(
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
                simd::run<silu_rows>(data<X>(gate_up_t2i), data<X>(out_ti),
                                     out_ti.size(1), begin, end);
              });
  });
}

void silu_multiply_backward(const at::Tensor& g_ti, at::Tensor& gate_up_t2i) {
  by_type(g_ti, [&](auto* type) {
    using X = std::remove_pointer_t<decltype(type)>;
    for_tasks(
        g_ti.size(0), rows_per_task, [&](int64_t begin, int64_t end, int64_t) {
          simd::run<silu_backward_rows>(data<X>(g_ti), data<X>(gate_up_t2i),
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
                parts[static_cast<std::size_t>(task)] = simd::run<entropy_rows>(
                    data<X>(logits_av), targets.data(), weights.data(),
                    logits_av.size(1), begin, end);
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
                simd::run<adamw_task>(
                    data<float>(parameter), data<float>(first_moment),
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
