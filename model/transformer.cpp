#include "model/transformer.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <array>
#include <memory>
#include <stdexcept>
#include <utility>

#include "model/mapped_files.hpp"
#include "model/rotary.hpp"

namespace t2 {
namespace {

// The projections that read the same input, as ranges of projection_kind.
constexpr std::array<std::pair<int, int>, linears_per_layer> shared_input{
    {{0, 3}, {3, 4}, {4, 6}, {6, 7}}};

struct loader {
  const checkpoint& weights;
  std::optional<error> failure;

  at::Tensor operator()(const std::string& name,
                        std::vector<std::int64_t> shape) {
    if (failure) return {};
    auto tensor = weights.tensor(name, shape);
    if (!tensor) {
      failure = tensor.error();
      return {};
    }
    return *std::move(tensor);
  }

  /// The same for who reads it again. A view of the mapped file is kept, it holds no
  /// memory of its own; what was decoded is handed out once and then decoded again
  /// (a training does so in every step). A file that can no longer be read throws.
  weight_reader reader(const std::string& name,
                       std::vector<std::int64_t> shape) {
    auto tensor = (*this)(name, shape);
    if (failure) return {};
    const auto stored = weights.view(name);
    const auto* data = static_cast<const std::byte*>(tensor.const_data_ptr());
    if (stored && data >= stored->bytes.data() &&
        data < stored->bytes.data() + stored->bytes.size())
      return [tensor] { return tensor; };
    return [of = weights, name, shape,
            now = std::make_shared<at::Tensor>(std::move(tensor))] {
      if (now->defined()) return std::exchange(*now, {});
      auto again = of.tensor(name, shape);
      if (!again) throw std::runtime_error(again.error().message);
      return *std::move(again);
    };
  }
};

}  // namespace

head_rows head_rows::pick(const std::vector<std::int64_t>& rows) const {
  if (static_cast<std::int64_t>(rows.size()) == size()) return *this;
  const c10::InferenceMode inference;
  auto index = rows;
  head_rows out{
      .hidden_rh = hidden_rh.index_select(
          0, at::from_blob(index.data(),
                           {static_cast<std::int64_t>(index.size())}, at::kLong)
                 .to(hidden_rh.device())),
      .deltas = {},
      .weights = weights};
  if (!deltas.empty())
    for (const auto row : rows)
      out.deltas.push_back(deltas[static_cast<std::size_t>(row)]);
  return out;
}

head_rows head_rows::slice(std::int64_t begin, std::int64_t count) const {
  head_rows out{.hidden_rh = hidden_rh.narrow(0, begin, count),
                .deltas = {},
                .weights = weights};
  if (!deltas.empty())
    out.deltas.assign(deltas.begin() + begin, deltas.begin() + begin + count);
  return out;
}

std::size_t transformer::linear_of(std::int64_t layer,
                                   projection_kind kind) const {
  if (kind >= projection_kind::embedding) return linears_.size() - 1;
  std::size_t which = 0;
  while (static_cast<int>(kind) >= shared_input[which].second) ++which;
  return static_cast<std::size_t>(layer) * linears_per_layer + which;
}

transformer::transformer(const model_config& config, const checkpoint& weights,
                         const svd_cache& svd, c10::ScalarType dtype,
                         c10::Device device, const kernels::backend& backend)
    : config_(config),
      checkpoint_(weights),
      svd_(svd),
      dtype_(dtype),
      device_(device),
      backend_(backend),
      costs_(plan_costs::estimate(config, dtype)) {}

result<std::unique_ptr<transformer>> transformer::load(
    const model_config& config, const checkpoint& weights, const svd_cache& svd,
    c10::ScalarType dtype, c10::Device device,
    const kernels::backend* backend) {
  if (!backend) backend = &kernels::backend_for(device, dtype);
  auto model = std::unique_ptr<transformer>(
      new transformer{config, weights, svd, dtype, device, *backend});
  loader load{weights, {}};
  const auto& block = config.block;
  const auto hidden = config.hidden;
  const auto norm = [&](const std::string& name, std::int64_t width) {
    const auto ready = [&](at::Tensor w) {
      return w.defined() ? w.to(device).to(at::kFloat).contiguous() : w;
    };
    norm_weights out{.weight = ready(load(name + ".weight", {width}))};
    if (block.norm_plus_one && out.weight.defined())
      out.weight = out.weight + 1;
    if (block.norm == norm_kind::layer)
      out.bias = ready(load(name + ".bias", {width}));
    return out;
  };
  auto& rest = model->rest_;
  rest.embedding_vh =
      load("model.embed_tokens.weight", {config.vocabulary, hidden});
  if (block.learned_positions)
    rest.positions_ph =
        load("model.embed_positions.weight", {config.max_positions, hidden});
  const auto head =
      config.tied_embeddings
          ? weight_reader{[embedding = rest.embedding_vh] { return embedding; }}
          : load.reader("lm_head.weight", {config.vocabulary, hidden});
  rest.final_norm = norm("model.norm", hidden);
  const auto projections = projections_of(config);
  auto next = projections.begin() + 1;  // behind the embedding
  for (std::int64_t l = 0; l < config.layers; ++l) {
    const auto prefix = "model.layers." + std::to_string(l) + ".";
    auto& norms = rest.layers.emplace_back();
    if (block.norm_before) {
      norms.attention = norm(prefix + "input_layernorm", hidden);
      norms.mlp = norm(prefix + "post_attention_layernorm", hidden);
    }
    if (block.norm_behind) {
      norms.attention_output = norm(prefix + "self_attn.output_norm", hidden);
      norms.mlp_output = norm(prefix + "mlp.output_norm", hidden);
    }
    if (block.heads != head_norm::none) {
      const bool each = block.heads == head_norm::each;
      norms.query = norm(prefix + "self_attn.q_norm",
                         each ? config.head_dim
                              : config.heads * config.head_dim);
      norms.key = norm(prefix + "self_attn.k_norm",
                       each ? config.head_dim
                            : config.kv_heads * config.head_dim);
    }
    for (const auto& [first, last] : shared_input) {
      std::vector<svf_linear::part> parts;
      const auto is_here = [&] {
        return next != projections.end() && next->layer == l &&
               static_cast<int>(next->kind) < last;
      };
      for (; is_here(); ++next) {
        const auto& p = *next;
        const bool bias = p.kind < projection_kind::output
                              ? config.query_key_value_bias
                          : p.kind == projection_kind::output
                              ? config.output_bias
                              : config.mlp_bias;
        auto weight = load.reader(p.weight, {p.out_features, p.in_features});
        const auto stem = p.weight.substr(0, p.weight.rfind('.'));
        parts.push_back(
            {p, std::move(weight),
             bias ? load(stem + ".bias", {p.out_features}) : at::Tensor{}});
      }
      if (load.failure) return *load.failure;
      model->linears_.emplace_back(std::move(parts), dtype, device, *backend);
    }
  }
  if (load.failure) return *load.failure;
  const auto& of_head =
      config.tied_embeddings ? projections.front() : projections.back();
  model->linears_.emplace_back(std::vector<svf_linear::part>{{of_head, head, {}}},
                               dtype, device, *backend);
  if (!device.is_cpu()) {
    rest.embedding_vh = rest.embedding_vh.to(device);
    if (rest.positions_ph.defined())
      rest.positions_ph = rest.positions_ph.to(device);
  }
  return model;
}

const kernels::rotary_table& transformer::rotary(std::int64_t layer,
                                                 std::int64_t positions) {
  const int which = config_.attention(layer).rotary;
  if (which < 0) return no_rotary_;
  auto& table = rotary_[static_cast<std::size_t>(which)];
  if (!table.cos_pd.defined() || table.cos_pd.size(0) < positions) {
    // Training differentiates through products with the table.
    const c10::InferenceMode off{false};
    std::int64_t size = 256;
    while (size < positions) size *= 2;
    const auto made = make_rotary_table(config_, size, which);
    table = {made.cos_pd.to(device_), made.sin_pd.to(device_)};
  }
  return table;
}

std::span<const kernels::rotary_table> transformer::rotary_tables(
    std::int64_t positions) {
  for (std::int64_t l = 0; l < config_.layers; ++l) rotary(l, positions);
  return rotary_;
}

result<void> transformer::load_factors(const svf_layout& layout) {
  const c10::InferenceMode off{false};
  bool any = false;
  for (auto& linear : linears_) {
    const auto loaded = linear.load_factors(layout, svd_, checkpoint_);
    if (!loaded) return loaded.error();
    if (!*loaded) continue;
    any = true;
    // What lies by ranks lies otherwise now.
    thin_of_.clear();
    thin_.clear();
  }
  // The cache's float32 was read once and is in the compute type now.
  if (any) give_back_memory();
  const auto place =
      layout.find(projection::no_layer, projection_kind::embedding);
  if (place < 0 || embedding_.s_r.defined()) return {};
  const auto& where = layout.projections()[static_cast<std::size_t>(place)];
  auto factors = svd_.load_or_compute(checkpoint_, where);
  if (!factors) return factors.error();
  embedding_ = {factors->u_mr.to(device_), factors->s_r.to(device_),
                factors->v_nr.to(device_)};
  return {};
}

dense_copies::weights transformer::build_dense(
    const singular_delta& delta) const {
  dense_copies::weights copy(linears_.size());
  const delta_ref one{&delta, [](const singular_delta*) {}};
  const std::int64_t row = 1;
  const step_deltas deltas{config_, {&one, 1}, {&row, 1}, device_};
  for (std::size_t i = 0; i < linears_.size(); ++i) {
    const auto d_gr = deltas.columns(linears_[i].factored());
    if (d_gr.defined()) copy[i] = linears_[i].materialise(d_gr[0]);
  }
  return copy;
}

result<void> transformer::warm(const delta_ref& delta) {
  const c10::InferenceMode inference;
  if (!delta || dense_.find(delta->digest())) return {};
  if (auto loaded = load_factors(delta->layout()); !loaded) return loaded;
  dense_.put(delta->digest(), build_dense(*delta));
  return {};
}

bool transformer::find_copies(const step_deltas& deltas, copies& dense) {
  dense.clear();
  for (const auto& delta : deltas.distinct()) {
    dense.push_back(dense_.find(delta->digest()));
    if (!dense.back()) return false;
  }
  return true;
}

/// Takes note of what the missing copies would have saved, and builds those that
/// have earned it.
void transformer::rent(const step_deltas& deltas, const linear_shares& adapted,
                       double saved_seconds) {
  std::vector<delta_ref> missing;
  for (const auto& delta : deltas.distinct())
    if (!dense_.find(delta->digest())) missing.push_back(delta);
  double bytes = 0;
  for (const auto& p : deltas.layout().projections())
    bytes += static_cast<double>(p.out_features * p.in_features) *
             static_cast<double>(c10::elementSize(dtype_));
  const auto all = bytes * static_cast<double>(deltas.distinct().size());
  if (!dense_.fits(static_cast<std::int64_t>(all))) return;
  const auto price = costs_.build_seconds(adapted);
  for (const auto& delta : missing)
    if (dense_.charge(delta->digest(),
                      saved_seconds / static_cast<double>(missing.size())) >=
        price)
      dense_.put(delta->digest(), build_dense(*delta));
}

result<linear_plan> transformer::choose_plan(const step_deltas& deltas,
                                             copies& dense) {
  if (deltas.all_base()) return linear_plan::base;
  if (auto loaded = load_factors(deltas.layout()); !loaded)
    return loaded.error();
  const auto adapted = adapted_share(config_, deltas.layout());
  const auto with_copies =
      deltas.uniform() ? linear_plan::dense : linear_plan::grouped_dense;
  if (forced_) {
    if (*forced_ != linear_plan::dense &&
        *forced_ != linear_plan::grouped_dense)
      return *forced_;
    for (const auto& delta : deltas.distinct()) {
      auto copy = dense_.find(delta->digest());
      dense.push_back(copy ? copy
                           : dense_.put(delta->digest(), build_dense(*delta)));
    }
    return with_copies;
  }
  std::vector<std::int64_t> mixture_rows(deltas.distinct().size(), 0);
  plan_question asked{.adapted = adapted};
  for (const auto& run : deltas.runs())
    (run.delta < 0 ? asked.base_rows
                   : mixture_rows[static_cast<std::size_t>(run.delta)]) +=
        run.end - run.begin;
  asked.mixture_rows = mixture_rows;
  const auto cheapest = costs_.without_copies(asked);
  const auto saved =
      costs_.seconds(cheapest, asked) - costs_.seconds(with_copies, asked);
  if (saved <= 0) return cheapest;
  if (find_copies(deltas, dense)) return with_copies;
  rent(deltas, adapted, saved);
  return find_copies(deltas, dense) ? with_copies : cheapest;
}

void transformer::set_delta_rank(std::int64_t rank) {
  delta_rank_ = rank;
  thin_of_.clear();
  thin_.clear();
}

/// Makes sure that thin_ covers the mixtures of a step. It covers those of the
/// last steps too, so that rows may come and go.
void transformer::use_thin(const step_deltas& deltas) {
  constexpr std::size_t most = 32;
  std::vector<delta_ref> fresh;
  for (const auto& delta : deltas.distinct())
    if (std::ranges::none_of(thin_of_, [&](const delta_ref& known) {
          return known->digest() == delta->digest();
        }))
      fresh.push_back(delta);
  if (fresh.empty()) return;
  if (thin_of_.size() + fresh.size() > most) {
    thin_of_ = deltas.distinct();
  } else {
    thin_of_.insert(thin_of_.end(), fresh.begin(), fresh.end());
  }
  const std::vector<std::int64_t> one(thin_of_.size(), 1);
  const step_deltas all{config_, thin_of_, one, device_};
  thin_.assign(linears_.size(), {});
  for (std::size_t i = 0; i < linears_.size(); ++i) {
    const auto d_gr = all.columns(linears_[i].factored());
    if (d_gr.defined()) thin_[i] = linears_[i].thin(d_gr, delta_rank_);
  }
}

at::Tensor transformer::logits(const head_rows& rows) {
  const c10::InferenceMode inference;
  return run_head(rows).to(at::kCPU);
}

std::vector<float> transformer::log_probabilities(
    const head_rows& of, std::span<const std::int64_t> rows,
    std::span<const token_id> targets) {
  const c10::InferenceMode inference;
  const auto rows_at_once = std::max<std::int64_t>(
      1, (std::int64_t{32} << 20) / (4 * config_.vocabulary));
  std::vector<float> out;
  out.reserve(targets.size());
  for (std::int64_t b = 0; b < of.size(); b += rows_at_once) {
    const auto count = std::min(rows_at_once, of.size() - b);
    std::vector<std::int64_t> places, entries;  // of a row, of a target in it
    for (std::size_t i = out.size(); i < rows.size() && rows[i] < b + count;
         ++i) {
      places.push_back(rows[i] - b);
      entries.push_back((rows[i] - b) * config_.vocabulary + targets[i]);
    }
    if (places.empty()) continue;
    const auto logits_rv = run_head(of.slice(b, count));
    const auto index = [&](std::vector<std::int64_t>& at_rows) {
      return at::from_blob(at_rows.data(),
                           {static_cast<std::int64_t>(at_rows.size())},
                           at::kLong)
          .to(device_);
    };
    const auto log_p =
        (logits_rv.reshape({-1}).index_select(0, index(entries)) -
         at::logsumexp(logits_rv, {1}).index_select(0, index(places)))
            .to(at::kCPU);
    const auto* p = log_p.const_data_ptr<float>();
    out.insert(out.end(), p, p + places.size());
  }
  return out;
}

}  // namespace t2
