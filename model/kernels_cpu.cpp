#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "model/kernel_backends.hpp"
#include "model/simd.hpp"

namespace t2::kernels {
namespace {

using simd::lanes;
using std::int64_t;
using bf16 = c10::BFloat16;

// Rows of one task: small enough to split over the cores, large enough to pay
// for the hand-over (about two microseconds).
int64_t rows_per_task(int64_t row_width) {
  return std::max<int64_t>(1, 16384 / std::max<int64_t>(1, row_width));
}

// --- add_rms_norm ----------------------------------------------------------

struct add_norm_rows {
  template <class V, class U, class O>
  static T2_INLINE void run(float* residual, const U* update,
                            const float* weight, O* out, int64_t hidden,
                            float epsilon, int64_t begin, int64_t end) {
    const int64_t whole = hidden - hidden % lanes;
    for (int64_t t = begin; t < end; ++t) {
      float* x = residual + t * hidden;
      V squares = simd::splat<V>(0);
      float rest = 0;
      if (update) {
        const U* u = update + t * hidden;
        for (int64_t h = 0; h < whole; h += lanes) {
          const V v = simd::load<V>(x + h) + simd::load<V>(u + h);
          simd::store(x + h, v);
          squares += v * v;
        }
        for (int64_t h = whole; h < hidden; ++h) {
          x[h] += simd::to_float(u[h]);
          rest += x[h] * x[h];
        }
      } else {
        for (int64_t h = 0; h < whole; h += lanes) {
          const V v = simd::load<V>(x + h);
          squares += v * v;
        }
        for (int64_t h = whole; h < hidden; ++h) rest += x[h] * x[h];
      }
      const float mean =
          (simd::sum(squares) + rest) / static_cast<float>(hidden);
      const float scale = 1.f / std::sqrt(mean + epsilon);
      O* y = out + t * hidden;
      for (int64_t h = 0; h < whole; h += lanes)
        simd::store(y + h,
                    simd::load<V>(x + h) * scale * simd::load<V>(weight + h));
      for (int64_t h = whole; h < hidden; ++h)
        y[h] = static_cast<O>(x[h] * scale * weight[h]);
    }
  }
};

// --- norm_groups -----------------------------------------------------------

struct norm_group_rows {
  template <class V, class T>
  static T2_INLINE void run(T* x, int64_t stride, int64_t groups, int64_t width,
                            const float* weight, float epsilon, int64_t begin,
                            int64_t end) {
    const int64_t whole = width - width % lanes;
    for (int64_t t = begin; t < end; ++t)
      for (int64_t g = 0; g < groups; ++g) {
        T* row = x + t * stride + g * width;
        V squares = simd::splat<V>(0);
        float rest = 0;
        for (int64_t i = 0; i < whole; i += lanes) {
          const V v = simd::load<V>(row + i);
          squares += v * v;
        }
        for (int64_t i = whole; i < width; ++i)
          rest += simd::to_float(row[i]) * simd::to_float(row[i]);
        const float mean =
            (simd::sum(squares) + rest) / static_cast<float>(width);
        const float scale = 1.f / std::sqrt(mean + epsilon);
        for (int64_t i = 0; i < whole; i += lanes)
          simd::store(row + i, simd::load<V>(row + i) * scale *
                                   simd::load<V>(weight + i));
        for (int64_t i = whole; i < width; ++i)
          row[i] = static_cast<T>(simd::to_float(row[i]) * scale * weight[i]);
      }
  }
};

// --- gated -----------------------------------------------------------------

struct silu_rows {
  template <class V, class T>
  static T2_INLINE void run(const T* gate_up, T* out, int64_t width,
                            int64_t begin, int64_t end) {
    const int64_t whole = width - width % lanes;
    for (int64_t t = begin; t < end; ++t) {
      const T* gate = gate_up + t * 2 * width;
      const T* up = gate + width;
      T* y = out + t * width;
      for (int64_t i = 0; i < whole; i += lanes) {
        const V g = simd::load<V>(gate + i);
        simd::store(y + i,
                    g / (1.f + simd::exponential(-g)) * simd::load<V>(up + i));
      }
      for (int64_t i = whole; i < width; ++i) {
        const float g = simd::to_float(gate[i]);
        y[i] = static_cast<T>(g / (1.f + std::exp(-g)) * simd::to_float(up[i]));
      }
    }
  }
};

// --- scale_rows ------------------------------------------------------------

struct scale_task {
  template <class V, class T>
  static T2_INLINE void run(T* p, const float* d, int64_t d_stride,
                            const float* shift, const std::int32_t* row,
                            int64_t width, int64_t begin, int64_t end) {
    const int64_t whole = width - width % lanes;
    for (int64_t t = begin; t < end; ++t) {
      T* x = p + t * width;
      const float* scale = row[t] < 0 ? nullptr : d + row[t] * d_stride;
      for (int64_t i = 0; i < whole; i += lanes) {
        V by = scale ? simd::load<V>(scale + i) : simd::splat<V>(0);
        if (shift) by += simd::load<V>(shift + i);
        simd::store(x + i, simd::load<V>(x + i) * by);
      }
      for (int64_t i = whole; i < width; ++i) {
        const float by = (scale ? scale[i] : 0.f) + (shift ? shift[i] : 0.f);
        x[i] = static_cast<T>(simd::to_float(x[i]) * by);
      }
    }
  }
};

// --- rotate_and_store ------------------------------------------------------

/// One token: q rotated in place, k rotated into a column of a page's keys, v
/// copied into its values. The first 2 · half entries of a head are rotated.
template <class T>
T2_INLINE void rotate_token(T* qkv, const float* cos, const float* sin,
                            int64_t half, T* keys, T* values, int64_t heads,
                            int64_t kv_heads, int64_t dim, int64_t slot) {
  constexpr auto key_stride = kv_store::page_tokens;
  for (int64_t h = 0; h < heads; ++h) {
    T* x = qkv + h * dim;
    for (int64_t i = 0; i < half; ++i) {
      const float a = simd::to_float(x[i]), b = simd::to_float(x[i + half]);
      x[i] = static_cast<T>(a * cos[i] - b * sin[i]);
      x[i + half] = static_cast<T>(b * cos[i] + a * sin[i]);
    }
  }
  for (int64_t h = 0; h < kv_heads; ++h) {
    const T* k = qkv + (heads + h) * dim;
    T* column = keys + h * dim * key_stride + slot;
    for (int64_t i = 0; i < half; ++i) {
      const float a = simd::to_float(k[i]), b = simd::to_float(k[i + half]);
      column[i * key_stride] = static_cast<T>(a * cos[i] - b * sin[i]);
      column[(i + half) * key_stride] = static_cast<T>(b * cos[i] + a * sin[i]);
    }
    for (int64_t i = 2 * half; i < dim; ++i) column[i * key_stride] = k[i];
    const T* v = qkv + (heads + kv_heads + h) * dim;
    std::copy_n(v, dim, values + (h * kv_store::page_tokens + slot) * dim);
  }
}

// --- attend ----------------------------------------------------------------

/// Positions [first, last) of a sequence, in the first slots of a page.
template <class T>
struct key_segment {
  const T* keys;    // [dim, page] of this layer and head
  const T* values;  // [page, dim]
  int64_t first, last;
};

/// Scores of `Q` queries against keys [j, j + 16) of a segment.
template <class V, int Q, class T>
T2_INLINE void score_block(const float* const (&q)[Q], const T* keys,
                           int64_t dim, float* const (&out)[Q]) {
  V acc[Q];
  for (int i = 0; i < Q; ++i) acc[i] = simd::splat<V>(0);
  for (int64_t d = 0; d < dim; ++d) {
    const V k = simd::load<V>(keys + d * kv_store::page_tokens);
    for (int i = 0; i < Q; ++i) acc[i] += k * q[i][d];
  }
  for (int i = 0; i < Q; ++i) simd::store(out[i], acc[i]);
}

/// Attention of Q queries (float, already scaled) that see positions
/// [from[i], to[i]); scores: scratch of Q rows of `width` floats.
template <class V, int Q, class T>
T2_INLINE void attend_queries(const float* const (&q)[Q],
                              const int64_t (&from)[Q], const int64_t (&to)[Q],
                              const key_segment<T>* segments, int count,
                              int64_t dim, float cap, float* scores,
                              int64_t width, T* const (&out)[Q]) {
  int64_t low = from[0], high = to[0];
  for (int i = 1; i < Q; ++i) {
    low = std::min(low, from[i]);
    high = std::max(high, to[i]);
  }
  // Scores lie at their position relative to `low`; a block of 16 may spill
  // over its segment's end, where the next segment's block overwrites it.
  for (int s = 0; s < count; ++s) {
    const auto& seg = segments[s];
    const int64_t first = std::max(seg.first, low);
    const int64_t last = std::min(seg.last, high);
    for (int64_t j = first; j < last; j += lanes) {
      float* rows[Q];
      for (int i = 0; i < Q; ++i) rows[i] = scores + i * width + (j - low);
      score_block<V, Q>(q, seg.keys + (j - seg.first), dim, rows);
    }
  }
  float total[Q];
  for (int i = 0; i < Q; ++i) {
    float* row = scores + i * width;
    const int64_t begin = from[i] - low, end = to[i] - low;
    if (cap > 0)
      for (int64_t j = begin; j < end; ++j)
        row[j] = cap * std::tanh(row[j] / cap);
    float peak = row[begin];
    for (int64_t j = begin; j < end; ++j) peak = std::max(peak, row[j]);
    std::fill(row, row + begin, 0.f);
    int64_t j = begin;
    V sums = simd::splat<V>(0);
    for (; j + lanes <= end; j += lanes) {
      const V e = simd::exponential(simd::load<V>(row + j) - peak);
      simd::store(row + j, e);
      sums += e;
    }
    float rest = 0;
    for (; j < end; ++j) {
      row[j] = std::exp(row[j] - peak);
      rest += row[j];
    }
    std::fill(row + end, row + (high - low), 0.f);
    total[i] = simd::sum(sums) + rest;
  }
  const int64_t whole = dim - dim % lanes;
  for (int64_t d = 0; d < whole; d += lanes) {
    V acc[Q];
    for (int i = 0; i < Q; ++i) acc[i] = simd::splat<V>(0);
    for (int s = 0; s < count; ++s) {
      const auto& seg = segments[s];
      const int64_t first = std::max(seg.first, low);
      const int64_t last = std::min(seg.last, high);
      const T* v = seg.values + (first - seg.first) * dim + d;
      for (int64_t j = first; j < last; ++j, v += dim) {
        const V value = simd::load<V>(v);
        for (int i = 0; i < Q; ++i)
          acc[i] += value * scores[i * width + (j - low)];
      }
    }
    for (int i = 0; i < Q; ++i)
      simd::store(out[i] + d, acc[i] / simd::splat<V>(total[i]));
  }
  for (int64_t d = whole; d < dim; ++d)
    for (int i = 0; i < Q; ++i) {
      float acc = 0;
      for (int s = 0; s < count; ++s) {
        const auto& seg = segments[s];
        const int64_t first = std::max(seg.first, low);
        const int64_t last = std::min(seg.last, high);
        for (int64_t j = first; j < last; ++j)
          acc += simd::to_float(seg.values[(j - seg.first) * dim + d]) *
                 scores[i * width + (j - low)];
      }
      out[i][d] = static_cast<T>(acc / total[i]);
    }
}

constexpr int query_tile = 4;

/// One query head's rows [row_begin, row_end) of a span, in tiles. The rows
/// of the heads of a group are walked together: `group` heads share the keys.
template <class T>
struct attend_task_arguments {
  const T* q;  // first head of the group, row 0 of the span
  T* out;
  int64_t q_stride, out_stride;  // between rows
  int64_t group;                 // heads that share the key-value head
  int64_t rows, position, window, dim;
  float scale, cap;
  const key_segment<T>* segments;
  int segment_count;
  float* scratch;  // query_tile × width, then query_tile × dim
  int64_t width;
};

struct attend_task {
  template <class V, class T>
  static T2_INLINE void run(const attend_task_arguments<T>& a) {
    float* scaled = a.scratch + query_tile * a.width;
    const int64_t queries = a.rows * a.group;
    for (int64_t begin = 0; begin < queries; begin += query_tile) {
      const int64_t count = std::min<int64_t>(query_tile, queries - begin);
      const float* q[query_tile];
      T* out[query_tile];
      int64_t from[query_tile], to[query_tile];
      for (int64_t i = 0; i < query_tile; ++i) {
        // A short tile repeats its last query; the result is the same.
        const int64_t n = begin + std::min(i, count - 1);
        const int64_t row = n / a.group, head = n % a.group;
        const T* source = a.q + row * a.q_stride + head * a.dim;
        float* target = scaled + i * a.dim;
        for (int64_t d = 0; d < a.dim; ++d)
          target[d] = simd::to_float(source[d]) * a.scale;
        q[i] = target;
        out[i] = a.out + row * a.out_stride + head * a.dim;
        to[i] = a.position + row + 1;
        from[i] = a.window > 0 ? std::max<int64_t>(0, to[i] - a.window) : 0;
      }
      if (count == 1) {
        attend_queries<V, 1, T>({q[0]}, {from[0]}, {to[0]}, a.segments,
                                a.segment_count, a.dim, a.cap, a.scratch,
                                a.width, {out[0]});
      } else {
        attend_queries<V, query_tile, T>(q, from, to, a.segments,
                                         a.segment_count, a.dim, a.cap,
                                         a.scratch, a.width, out);
      }
    }
  }
};

template <class F>
void for_type(const at::Tensor& x, F&& f) {
  if (x.scalar_type() == at::kFloat)
    f(float{});
  else
    f(bf16{});
}

/// f changes rows that lie behind each other: those of x, or a copy of them.
template <class F>
void in_place(at::Tensor& x, F&& f) {
  auto rows = x.contiguous();
  f(rows);
  if (!rows.is_same(x)) x.copy_(rows);
}

/// Addresses for so many entries: memory comes as they are first written, however
/// many were asked for.
at::Tensor reserve(int64_t entries, at::ScalarType type) {
  const auto options = at::TensorOptions().dtype(type);
  const auto bytes = static_cast<std::size_t>(entries) * c10::elementSize(type);
  if (bytes == 0) return at::empty({0}, options);
  void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED)
    throw std::runtime_error("mmap of " + std::to_string(bytes) +
                             " bytes: " + std::strerror(errno));
  return at::from_blob(
      at, {entries}, [bytes](void* all) { ::munmap(all, bytes); }, options);
}

/// Keys are stored transposed, so that the scores of neighbouring keys are
/// neighbours in memory: a page is keys [layers, K heads, D, page tokens], and
/// behind them values [layers, K heads, page tokens, D]: a vector of keys may be
/// read past its row.
struct transposed_store : kv_store {
  at::Tensor all;
  int64_t layers = 0;
  int64_t layer_size = 0;  // entries of the keys of a layer in a page

  template <class T>
  T* keys(page_id page, int64_t layer) const {
    return static_cast<T*>(all.data_ptr()) +
           (2 * int64_t{page} * layers + layer) * layer_size;
  }
  template <class T>
  T* values(page_id page, int64_t layer) const {
    return keys<T>(page, layer) + layers * layer_size;
  }
};

template <class T>
void copy_slots(const transposed_store& store, const page_fork& fork,
                int64_t layer, int64_t kv_heads, int64_t dim) {
  const auto* keys = store.keys<T>(fork.from, layer);
  auto* to = store.keys<T>(fork.to, layer);
  for (int64_t row = 0; row < kv_heads * dim; ++row)
    std::copy_n(keys + row * kv_store::page_tokens, fork.tokens,
                to + row * kv_store::page_tokens);
  const auto* values = store.values<T>(fork.from, layer);
  to = store.values<T>(fork.to, layer);
  for (int64_t h = 0; h < kv_heads; ++h) {
    const auto at = h * kv_store::page_tokens * dim;
    std::copy_n(values + at, fork.tokens * dim, to + at);
  }
}

}  // namespace

at::Tensor cpu_backend::add_rms_norm(at::Tensor& residual_th,
                                     const at::Tensor& update_th,
                                     const at::Tensor& weight_h, double epsilon,
                                     at::ScalarType out_type) const {
  auto out =
      at::empty(residual_th.sizes(), residual_th.options().dtype(out_type));
  const auto hidden = residual_th.size(1);
  const auto update = update_th.defined() ? update_th.contiguous() : update_th;
  in_place(residual_th, [&](at::Tensor& residual) {
    for_type(out, [&](auto type) {
      using T = decltype(type);
      auto* x = residual.data_ptr<float>();
      const T* u =
          update.defined() ? update.template const_data_ptr<T>() : nullptr;
      const auto* w = weight_h.const_data_ptr<float>();
      auto* y = out.template data_ptr<T>();
      at::parallel_for(0, residual.size(0), rows_per_task(hidden),
                       [&](int64_t b, int64_t e) {
                         simd::run<add_norm_rows>(x, u, w, y, hidden,
                                                  static_cast<float>(epsilon),
                                                  b, e);
                       });
    });
  });
  return out;
}

void cpu_backend::norm_groups(at::Tensor& x_tn, int64_t begin, int64_t groups,
                              const at::Tensor& weight, double epsilon) const {
  in_place(x_tn, [&](at::Tensor& rows) {
    for_type(rows, [&](auto type) {
      using T = decltype(type);
      auto* x = rows.template data_ptr<T>() + begin;
      const auto* w = weight.const_data_ptr<float>();
      at::parallel_for(0, rows.size(0), rows_per_task(groups * weight.size(0)),
                       [&](int64_t b, int64_t e) {
                         simd::run<norm_group_rows>(
                             x, rows.size(1), groups, weight.size(0), w,
                             static_cast<float>(epsilon), b, e);
                       });
    });
  });
}

at::Tensor cpu_backend::gated(const at::Tensor& gate_up_t2i,
                              activation_kind kind) const {
  if (kind != activation_kind::silu)
    return reference_backend::gated(gate_up_t2i, kind);
  const auto in = gate_up_t2i.contiguous();
  const auto width = in.size(1) / 2;
  auto out = at::empty({in.size(0), width}, in.options());
  for_type(in, [&](auto type) {
    using T = decltype(type);
    const auto* x = in.template const_data_ptr<T>();
    auto* y = out.template data_ptr<T>();
    at::parallel_for(
        0, in.size(0), rows_per_task(4 * width),
        [&](int64_t b, int64_t e) { simd::run<silu_rows>(x, y, width, b, e); });
  });
  return out;
}

void cpu_backend::scale_rows(at::Tensor& p_tr, const at::Tensor& d_gr,
                             const at::Tensor& shift_r,
                             std::span<const std::int32_t> row) const {
  const auto width = p_tr.size(1);
  const auto table = d_gr.stride(1) == 1 ? d_gr : d_gr.contiguous();
  in_place(p_tr, [&](at::Tensor& rows) {
    for_type(rows, [&](auto type) {
      using T = decltype(type);
      auto* p = rows.template data_ptr<T>();
      const auto* d = table.template const_data_ptr<float>();
      const auto* shift =
          shift_r.defined() ? shift_r.const_data_ptr<float>() : nullptr;
      at::parallel_for(0, rows.size(0), rows_per_task(width),
                       [&](int64_t b, int64_t e) {
                         simd::run<scale_task>(p, d, table.stride(0), shift,
                                               row.data(), width, b, e);
                       });
    });
  });
}

std::unique_ptr<kv_store> cpu_backend::make_store(const model_config& config,
                                                  at::ScalarType dtype,
                                                  c10::Device,
                                                  std::int64_t pages) const {
  auto store = std::make_unique<transposed_store>();
  store->layers = config.layers;
  store->layer_size =
      config.kv_heads * config.head_dim * kv_store::page_tokens;
  store->all = reserve(pages * 2 * store->layers * store->layer_size, dtype);
  return store;
}

void cpu_backend::rotate_and_store(at::Tensor& qkv_tn, const step_pages& pages,
                                   const rotary_table& rotary, int64_t layer,
                                   int64_t heads, int64_t kv_heads) const {
  const auto& store = static_cast<const transposed_store&>(pages.store);
  const auto spans = pages.spans;
  const auto width = qkv_tn.size(1);
  const auto dim = width / (heads + 2 * kv_heads);
  const bool rotates = rotary.cos_pd.defined();
  const auto half = rotates ? rotary.cos_pd.size(1) : 0;
  const auto* cos = rotates ? rotary.cos_pd.const_data_ptr<float>() : nullptr;
  const auto* sin = rotates ? rotary.sin_pd.const_data_ptr<float>() : nullptr;
  const auto run = [&](auto* rows) {
    using T = std::remove_pointer_t<decltype(rows)>;
    at::parallel_for(
        0, static_cast<int64_t>(spans.size()),
        spans.size() > 1 ? rows_per_task(width) : 1,
        [&](int64_t first, int64_t last) {
          for (int64_t s = first; s < last; ++s) {
            const auto& span = spans[static_cast<std::size_t>(s)];
            for (auto t = span.begin; t < span.end; ++t) {
              const auto position = span.position + (t - span.begin);
              const auto page = span.pages[static_cast<std::size_t>(
                  position / kv_store::page_tokens)];
              rotate_token(rows + t * width, cos + position * half,
                           sin + position * half, half,
                           store.keys<T>(page, layer),
                           store.values<T>(page, layer), heads, kv_heads, dim,
                           position % kv_store::page_tokens);
            }
          }
        });
    for (const auto& fork : pages.forks)
      copy_slots<T>(store, fork, layer, kv_heads, dim);
  };
  in_place(qkv_tn, [&](at::Tensor& rows) {
    for_type(rows,
             [&](auto type) { run(rows.template data_ptr<decltype(type)>()); });
  });
}

at::Tensor cpu_backend::attend(const at::Tensor& qkv_tn,
                               const step_pages& pages, int64_t layer,
                               int64_t heads, int64_t kv_heads,
                               const attention_rule& rule) const {
  const auto& store = static_cast<const transposed_store&>(pages.store);
  const auto spans = pages.spans;
  const auto in = qkv_tn.contiguous();
  const auto width = in.size(1);
  const auto dim = width / (heads + 2 * kv_heads);
  const auto group = heads / kv_heads;
  auto out = at::empty({in.size(0), heads * dim}, in.options());

  // One task: a key-value head of some rows of a span. Long spans are cut so
  // that the cores share them; later rows see more keys, so cuts are small.
  struct task {
    const attention_span* span;
    int64_t head, begin, end;
  };
  constexpr int64_t rows_of_task = 32;
  std::vector<task> tasks;
  int64_t longest = 0;
  for (const auto& span : spans) {
    longest = std::max(longest, span.position + (span.end - span.begin));
    for (auto b = span.begin; b < span.end; b += rows_of_task)
      for (int64_t h = 0; h < kv_heads; ++h)
        tasks.push_back({&span, h, b, std::min(b + rows_of_task, span.end)});
  }
  const auto scratch_width = (longest + 2 * lanes) / lanes * lanes;

  for_type(in, [&](auto type) {
    using T = decltype(type);
    const auto* rows = in.template const_data_ptr<T>();
    auto* y = out.template data_ptr<T>();
    at::parallel_for(
        0, static_cast<int64_t>(tasks.size()), 1,
        [&](int64_t first, int64_t last) {
          std::vector<float> scratch(
              static_cast<std::size_t>(query_tile * (scratch_width + dim)));
          std::vector<key_segment<T>> segments;
          for (int64_t i = first; i < last; ++i) {
            const auto& [span, head, begin, end] =
                tasks[static_cast<std::size_t>(i)];
            segments.clear();
            const auto upper = span->position + (span->end - span->begin);
            const auto offset = head * dim * kv_store::page_tokens;
            for (int64_t p = 0; p < kv_pages(upper); ++p) {
              const auto page = span->pages[static_cast<std::size_t>(p)];
              const auto from = p * kv_store::page_tokens;
              segments.push_back(
                  {store.keys<const T>(page, layer) + offset,
                   store.values<const T>(page, layer) + offset, from,
                   std::min(from + kv_store::page_tokens, upper)});
            }
            simd::run<attend_task>(attend_task_arguments<T>{
                .q = rows + begin * width + head * group * dim,
                .out = y + begin * heads * dim + head * group * dim,
                .q_stride = width,
                .out_stride = heads * dim,
                .group = group,
                .rows = end - begin,
                .position = span->position + (begin - span->begin),
                .window = rule.window,
                .dim = dim,
                .scale = static_cast<float>(rule.scale),
                .cap = static_cast<float>(rule.cap),
                .segments = segments.data(),
                .segment_count = static_cast<int>(segments.size()),
                .scratch = scratch.data(),
                .width = scratch_width});
          }
        });
  });
  return out;
}

}  // namespace t2::kernels
