#include "model/projection.hpp"

namespace t2 {
namespace {

struct kind_name {
  projection_kind kind;
  std::string_view name;
};

constexpr std::array<kind_name, 7> kind_names{{
    {projection_kind::query, "self_attn.q_proj"},
    {projection_kind::key, "self_attn.k_proj"},
    {projection_kind::value, "self_attn.v_proj"},
    {projection_kind::output, "self_attn.o_proj"},
    {projection_kind::gate, "mlp.gate_proj"},
    {projection_kind::up, "mlp.up_proj"},
    {projection_kind::down, "mlp.down_proj"},
}};

bool in_targets(projection_kind kind, svf_targets targets) {
  const bool is_mlp = kind >= projection_kind::gate;
  return targets == svf_targets::all || is_mlp == (targets == svf_targets::mlp);
}

std::pair<std::int64_t, std::int64_t> shape_of(const model_config& c,
                                               projection_kind kind) {
  switch (kind) {
    case projection_kind::query: return {c.heads * c.head_dim, c.hidden};
    case projection_kind::key:
    case projection_kind::value: return {c.kv_heads * c.head_dim, c.hidden};
    case projection_kind::output: return {c.hidden, c.heads * c.head_dim};
    case projection_kind::gate:
    case projection_kind::up: return {c.intermediate, c.hidden};
    case projection_kind::down: return {c.hidden, c.intermediate};
  }
  return {0, 0};
}

}  // namespace

std::string_view to_string(svf_targets targets) {
  switch (targets) {
    case svf_targets::attention: return "attention";
    case svf_targets::mlp: return "mlp";
    case svf_targets::all: return "all";
  }
  return "unknown";
}

result<svf_targets> parse_svf_targets(std::string_view text) {
  for (auto targets :
       {svf_targets::attention, svf_targets::mlp, svf_targets::all})
    if (text == to_string(targets)) return targets;
  return error{ec::invalid_argument,
               "targets: expected attention, mlp or all, found '" +
                   std::string{text} + "'"};
}

svf_layout::svf_layout(const model_config& config, svf_targets targets)
    : targets_(targets), offsets_{0} {
  const auto has = [&](projection_kind kind) {
    return in_targets(kind, targets) &&
           (kind != projection_kind::gate || config.block.gated);
  };
  for (const auto& [kind, name] : kind_names)
    place_[static_cast<std::size_t>(kind)] = has(kind) ? per_layer_++ : -1;
  for (std::int64_t layer = 0; layer < config.layers; ++layer)
    for (const auto& [kind, name] : kind_names) {
      if (!has(kind)) continue;
      const auto [out, in] = shape_of(config, kind);
      projections_.push_back({layer, kind,
                              "model.layers." + std::to_string(layer) + "." +
                                  std::string{name} + ".weight",
                              out, in});
      offsets_.push_back(offsets_.back() + projections_.back().rank());
    }
}

std::int64_t svf_layout::find(std::int64_t layer, projection_kind kind) const {
  const auto place = place_[static_cast<std::size_t>(kind)];
  return place < 0 ? -1 : layer * per_layer_ + place;
}

}  // namespace t2
