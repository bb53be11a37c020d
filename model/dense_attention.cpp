// Attention within short documents, forward and backward. Each task is one
// document and one key-value head: keys and values are copied once, rotated,
// padded to whole vectors, and all products run as small tiled matrix products
// on float32. P and its gradient exist for one head at a time.
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "model/dense_kernels.hpp"
#include "model/simd.hpp"

namespace t2::dense_kernels {
namespace {

using simd::lanes;
using std::int64_t;
using bf16 = c10::BFloat16;

constexpr int tile_rows = 4;

/// `n` in whole vectors.
T2_INLINE int64_t whole(int64_t n) {
  return (n + lanes - 1) / lanes * lanes;
}

/// A matrix read with any two strides: a(i, k) = p[i · row + k · column].
struct strided {
  const float* p;
  int64_t row, column;
};

/// c[r][0 .. C·16) (+)= Σ_k a(r, k) b[k][0 .. C·16) for four rows.
template <class V, int C>
T2_INLINE void tile(const strided& a, const float* b, int64_t b_row, float* c,
                    int64_t c_row, int64_t k_begin, int64_t k_end, bool add) {
  V sum[tile_rows][C];
  for (int r = 0; r < tile_rows; ++r)
    for (int j = 0; j < C; ++j)
      sum[r][j] =
          add ? simd::load<V>(c + r * c_row + j * lanes) : simd::splat<V>(0);
  for (int64_t k = k_begin; k < k_end; ++k) {
    V bv[C];
    for (int j = 0; j < C; ++j)
      bv[j] = simd::load<V>(b + k * b_row + j * lanes);
    for (int r = 0; r < tile_rows; ++r) {
      const float av = a.p[r * a.row + k * a.column];
      for (int j = 0; j < C; ++j) sum[r][j] += bv[j] * av;
    }
  }
  for (int r = 0; r < tile_rows; ++r)
    for (int j = 0; j < C; ++j)
      simd::store(c + r * c_row + j * lanes, sum[r][j]);
}

/// The same over `columns` (a multiple of 16).
template <class V>
T2_INLINE void row_tile(const strided& a, const float* b, int64_t b_row,
                        float* c, int64_t c_row, int64_t columns,
                        int64_t k_begin, int64_t k_end, bool add) {
  int64_t j = 0;
  // As many sums as stay in registers.
  if constexpr (V::parts == 1)
    for (; j + 2 * lanes <= columns; j += 2 * lanes)
      tile<V, 2>(a, b + j, b_row, c + j, c_row, k_begin, k_end, add);
  for (; j < columns; j += lanes)
    tile<V, 1>(a, b + j, b_row, c + j, c_row, k_begin, k_end, add);
}

/// What a task works in: L tokens of a document padded to P, D padded to E.
struct scratch {
  scratch(int64_t longest, int64_t head_dim, bool backward)
      : p{whole(longest)}, e{whole(head_dim)} {
    const auto of = [](int64_t n) { return static_cast<std::size_t>(n); };
    for (auto* one : {&q, &k, &v, &o}) one->resize(of(p * e));
    for (auto* one : {&kt, &vt}) one->resize(of(p * e));
    scores.resize(of(p * p));
    if (!backward) return;
    for (auto* one : {&dq, &dk, &dv}) one->resize(of(p * e));
    d_scores.resize(of(p * p));
  }
  int64_t p, e;
  std::vector<float> q, k, v, o;        // [P, E]
  std::vector<float> kt, vt;            // [E, P]
  std::vector<float> dq, dk, dv;        // [P, E]
  std::vector<float> scores, d_scores;  // [P, P]
};

template <class X>
struct task {
  attention_shape shape;
  document_span span;
  int64_t kv_head;
  const float *cos, *sin;
  const X* qkv;
  X* out;  // forward
  float* log_sum;
  const X* g;  // backward
  X* gradient;

  int64_t length() const { return span.end - span.begin; }
  int64_t query_width() const { return shape.heads * shape.head_dim; }
  int64_t width() const {
    return query_width() + 2 * shape.kv_heads * shape.head_dim;
  }
  int64_t key_at() const { return query_width() + kv_head * shape.head_dim; }
  int64_t value_at() const {
    return key_at() + shape.kv_heads * shape.head_dim;
  }
};

/// [L, D] at column `at` of rows of `width`, into [P, E] with zeros around.
template <class V, class X>
T2_INLINE void fetch(const X* from, int64_t width, int64_t at, int64_t length,
                     int64_t dim, int64_t p, int64_t e, float* to) {
  for (int64_t t = 0; t < p; ++t) {
    int64_t d = 0;
    if (t < length) {
      const X* row = from + t * width + at;
      for (; d + lanes <= dim; d += lanes)
        simd::store(to + t * e + d, simd::load<V>(row + d));
      for (; d < dim; ++d) to[t * e + d] = simd::to_float(row[d]);
    }
    for (; d < e; ++d) to[t * e + d] = 0;
  }
}

template <class V, class X>
T2_INLINE void put(const float* from, int64_t e, X* to, int64_t width,
                   int64_t at, int64_t length, int64_t dim) {
  for (int64_t t = 0; t < length; ++t) {
    X* row = to + t * width + at;
    int64_t d = 0;
    for (; d + lanes <= dim; d += lanes)
      simd::store(row + d, simd::load<V>(from + t * e + d));
    for (; d < dim; ++d) row[d] = static_cast<X>(from[t * e + d]);
  }
}

/// Rotates rows [L, E] by their position and scales; `turn` −1 rotates back.
template <class V>
T2_INLINE void rotate(float* rows, int64_t e, int64_t length, int64_t dim,
                      const float* cos, const float* sin, float scale,
                      float turn) {
  const int64_t half = dim / 2;
  for (int64_t t = 0; t < length; ++t) {
    float* low = rows + t * e;
    float* high = low + half;
    const float* c = cos + t * half;
    const float* s = sin + t * half;
    int64_t d = 0;
    for (; d + lanes <= half; d += lanes) {
      const V a = simd::load<V>(low + d) * scale;
      const V b = simd::load<V>(high + d) * scale;
      const V cv = simd::load<V>(c + d), sv = simd::load<V>(s + d) * turn;
      simd::store(low + d, a * cv - b * sv);
      simd::store(high + d, b * cv + a * sv);
    }
    for (; d < half; ++d) {
      const float a = low[d] * scale, b = high[d] * scale;
      low[d] = a * c[d] - b * s[d] * turn;
      high[d] = b * c[d] + a * s[d] * turn;
    }
  }
}

T2_INLINE void transpose(const float* from_pe, float* to_ep, int64_t p,
                         int64_t e) {
  for (int64_t t = 0; t < p; ++t)
    for (int64_t d = 0; d < e; ++d) to_ep[d * p + t] = from_pe[t * e + d];
}

/// e^(x - by), and zero of a masked score.
template <class V>
T2_INLINE V seen(V x, float by) {
  // The exponential is clamped above zero.
  return simd::where_less(x, simd::splat<V>(-1e29f), simd::splat<V>(0),
                          simd::exponential(x - by));
}

struct forward {
  template <class V, class X>
  static T2_INLINE void run(const task<X>& job, scratch& s) {
    const int64_t length = job.length(), dim = job.shape.head_dim;
    const int64_t p = whole(length), e = s.e, width = job.width();
    const X* rows = job.qkv + job.span.begin * width;
    const float scale = 1.f / std::sqrt(static_cast<float>(dim));
    fetch<V>(rows, width, job.key_at(), length, dim, p, e, s.k.data());
    rotate<V>(s.k.data(), e, length, dim, job.cos, job.sin, 1, 1);
    transpose(s.k.data(), s.kt.data(), p, e);
    fetch<V>(rows, width, job.value_at(), length, dim, p, e, s.v.data());
    const int64_t group = job.shape.heads / job.shape.kv_heads;
    for (int64_t n = 0; n < group; ++n) {
      const int64_t head = job.kv_head * group + n;
      fetch<V>(rows, width, head * dim, length, dim, p, e, s.q.data());
      rotate<V>(s.q.data(), e, length, dim, job.cos, job.sin, scale, 1);
      float* scores = s.scores.data();  // [4, P]
      for (int64_t i = 0; i < length; i += tile_rows) {
        const int64_t keys = whole(i + tile_rows);
        row_tile<V>({s.q.data() + i * e, e, 1}, s.kt.data(), p, scores, p, keys,
                    0, dim, false);
        float inverse[tile_rows];
        for (int r = 0; r < tile_rows; ++r) {
          float* row = scores + r * p;
          for (int64_t j = i + r + 1; j < keys; ++j) row[j] = -1e30f;
          V most = simd::load<V>(row);
          for (int64_t j = lanes; j < keys; j += lanes)
            most = simd::maximum(most, simd::load<V>(row + j));
          const float top = simd::largest(most);
          V sums = simd::splat<V>(0);
          for (int64_t j = 0; j < keys; j += lanes) {
            const V x = simd::load<V>(row + j);
            const V y = seen(x, top);
            simd::store(row + j, y);
            sums += y;
          }
          const float sum = simd::sum(sums);
          inverse[r] = 1.f / sum;
          if (i + r < length)
            job.log_sum[(job.span.begin + i + r) * job.shape.heads + head] =
                top + std::log(sum);
        }
        row_tile<V>({scores, p, 1}, s.v.data(), e, s.o.data() + i * e, e, e, 0,
                    std::min(i + tile_rows, p), false);
        for (int r = 0; r < tile_rows; ++r)
          for (int64_t d = 0; d < e; d += lanes)
            simd::store(
                s.o.data() + (i + r) * e + d,
                simd::load<V>(s.o.data() + (i + r) * e + d) * inverse[r]);
      }
      put<V>(s.o.data(), e, job.out + job.span.begin * job.query_width(),
             job.query_width(), head * dim, length, dim);
    }
  }
};

struct backward {
  template <class V, class X>
  static T2_INLINE void run(const task<X>& job, scratch& s) {
    const int64_t length = job.length(), dim = job.shape.head_dim;
    const int64_t p = whole(length), e = s.e, width = job.width();
    const X* rows = job.qkv + job.span.begin * width;
    X* out = job.gradient + job.span.begin * width;
    const float scale = 1.f / std::sqrt(static_cast<float>(dim));
    fetch<V>(rows, width, job.key_at(), length, dim, p, e, s.k.data());
    rotate<V>(s.k.data(), e, length, dim, job.cos, job.sin, 1, 1);
    transpose(s.k.data(), s.kt.data(), p, e);
    fetch<V>(rows, width, job.value_at(), length, dim, p, e, s.v.data());
    transpose(s.v.data(), s.vt.data(), p, e);
    std::fill_n(s.dk.data(), p * e, 0.f);
    std::fill_n(s.dv.data(), p * e, 0.f);
    float* probabilities = s.scores.data();
    float* d_scores = s.d_scores.data();
    const int64_t group = job.shape.heads / job.shape.kv_heads;
    for (int64_t n = 0; n < group; ++n) {
      const int64_t head = job.kv_head * group + n;
      fetch<V>(rows, width, head * dim, length, dim, p, e, s.q.data());
      rotate<V>(s.q.data(), e, length, dim, job.cos, job.sin, scale, 1);
      fetch<V>(job.g + job.span.begin * job.query_width(), job.query_width(),
               head * dim, length, dim, p, e, s.o.data());
      for (int64_t i = 0; i < p; i += tile_rows) {
        const int64_t keys = whole(i + tile_rows);
        float* p_rows = probabilities + i * p;
        float* d_rows = d_scores + i * p;
        row_tile<V>({s.q.data() + i * e, e, 1}, s.kt.data(), p, p_rows, p, keys,
                    0, dim, false);
        row_tile<V>({s.o.data() + i * e, e, 1}, s.vt.data(), p, d_rows, p, keys,
                    0, dim, false);
        for (int r = 0; r < tile_rows; ++r) {
          float* pr = p_rows + r * p;
          float* dr = d_rows + r * p;
          if (i + r >= length) {
            std::fill_n(pr, keys, 0.f);
            std::fill_n(dr, keys, 0.f);
            continue;
          }
          for (int64_t j = i + r + 1; j < keys; ++j) pr[j] = -1e30f;
          const float log_sum =
              job.log_sum[(job.span.begin + i + r) * job.shape.heads + head];
          V dots = simd::splat<V>(0);
          for (int64_t j = 0; j < keys; j += lanes) {
            const V x = simd::load<V>(pr + j);
            const V y = seen(x, log_sum);
            simd::store(pr + j, y);
            dots += y * simd::load<V>(dr + j);
          }
          const float dot = simd::sum(dots);
          for (int64_t j = 0; j < keys; j += lanes)
            simd::store(dr + j,
                        simd::load<V>(pr + j) * (simd::load<V>(dr + j) - dot));
        }
        row_tile<V>({d_rows, p, 1}, s.k.data(), e, s.dq.data() + i * e, e, e, 0,
                    i + tile_rows, false);
      }
      // Rows are keys from here on: key j is seen by the queries from j on; of
      // the first tile's queries some do not see all its keys, and are zero.
      for (int64_t j = 0; j < length; j += tile_rows) {
        row_tile<V>({d_scores + j, 1, p}, s.q.data(), e, s.dk.data() + j * e, e,
                    e, j, p, true);
        row_tile<V>({probabilities + j, 1, p}, s.o.data(), e,
                    s.dv.data() + j * e, e, e, j, p, true);
      }
      rotate<V>(s.dq.data(), e, length, dim, job.cos, job.sin, scale, -1);
      put<V>(s.dq.data(), e, out, width, head * dim, length, dim);
    }
    rotate<V>(s.dk.data(), e, length, dim, job.cos, job.sin, 1, -1);
    put<V>(s.dk.data(), e, out, width, job.key_at(), length, dim);
    put<V>(s.dv.data(), e, out, width, job.value_at(), length, dim);
  }
};

/// run(job, scratch) for each document and key-value head; a task writes
/// columns of its own.
template <class X, class Run>
void for_documents(task<X> common, std::span<const document_span> spans,
                   bool with_gradient, const Run& run) {
  int64_t longest = 0;
  for (const auto& one : spans)
    longest = std::max(longest, one.end - one.begin);
  const auto heads = common.shape.kv_heads;
  const auto count = static_cast<int64_t>(spans.size()) * heads;
  at::parallel_for(0, count, 1, [&](int64_t first, int64_t last) {
    scratch room(longest, common.shape.head_dim, with_gradient);
    for (int64_t i = first; i < last; ++i) {
      task<X> job = common;
      job.span = spans[static_cast<std::size_t>(i / heads)];
      job.kv_head = i % heads;
      run(job, room);
    }
  });
}

/// Zeroes the rows of [T, width] that no document has.
void clear_outside(at::Tensor& rows, std::span<const document_span> spans) {
  const int64_t end = spans.empty() ? 0 : spans.back().end;
  if (end < rows.size(0)) rows.narrow(0, end, rows.size(0) - end).zero_();
}

}  // namespace

void attention(const at::Tensor& qkv_tn, std::span<const document_span> spans,
               const attention_shape& shape, const at::Tensor& cos_pd,
               const at::Tensor& sin_pd, at::Tensor& out_tq,
               at::Tensor& log_sum_th) {
  const auto run = [&]<class X>(X*) {
    task<X> common{};
    common.shape = shape;
    common.cos = cos_pd.const_data_ptr<float>();
    common.sin = sin_pd.const_data_ptr<float>();
    common.qkv = qkv_tn.const_data_ptr<X>();
    common.out = out_tq.mutable_data_ptr<X>();
    common.log_sum = log_sum_th.mutable_data_ptr<float>();
    for_documents(common, spans, false, [](const task<X>& job, scratch& s) {
      simd::run<forward>(job, s);
    });
  };
  if (qkv_tn.scalar_type() == at::kBFloat16)
    run(static_cast<bf16*>(nullptr));
  else
    run(static_cast<float*>(nullptr));
  clear_outside(out_tq, spans);
}

void attention_backward(const at::Tensor& g_tq, const at::Tensor& qkv_tn,
                        std::span<const document_span> spans,
                        const attention_shape& shape, const at::Tensor& cos_pd,
                        const at::Tensor& sin_pd, const at::Tensor& log_sum_th,
                        at::Tensor& gradient_tn) {
  const auto run = [&]<class X>(X*) {
    task<X> common{};
    common.shape = shape;
    common.cos = cos_pd.const_data_ptr<float>();
    common.sin = sin_pd.const_data_ptr<float>();
    common.qkv = qkv_tn.const_data_ptr<X>();
    common.g = g_tq.const_data_ptr<X>();
    common.gradient = gradient_tn.mutable_data_ptr<X>();
    common.log_sum = log_sum_th.mutable_data_ptr<float>();
    for_documents(common, spans, true, [](const task<X>& job, scratch& s) {
      simd::run<backward>(job, s);
    });
  };
  if (qkv_tn.scalar_type() == at::kBFloat16)
    run(static_cast<bf16*>(nullptr));
  else
    run(static_cast<float*>(nullptr));
  clear_outside(gradient_tn, spans);
}

}  // namespace t2::dense_kernels
