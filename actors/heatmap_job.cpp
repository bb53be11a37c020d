#include "actors/heatmap_job.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "adaptation/expert.hpp"
#include "model/language_model.hpp"

namespace t2 {
namespace {

constexpr std::size_t most_buckets = 32;
/// In the order of projection_kind.
constexpr std::array names = {"q",  "k",    "v",         "o",   "gate",
                              "up", "down", "embedding", "head"};

}  // namespace

heatmap_row summarise_z(std::span<const float> z) {
  heatmap_row row;
  row.rank = static_cast<std::int64_t>(z.size());
  row.least = row.most = static_cast<double>(z.front());
  double sum = 0;
  for (const float value : z) {
    const auto x = static_cast<double>(value);
    sum += x;
    row.least = std::min(row.least, x);
    row.most = std::max(row.most, x);
  }
  row.mean = sum / static_cast<double>(z.size());
  const std::size_t buckets = std::min(most_buckets, z.size());
  for (std::size_t b = 0; b < buckets; ++b) {
    const std::size_t begin = b * z.size() / buckets;
    const std::size_t end = (b + 1) * z.size() / buckets;
    double distance = 0;
    for (std::size_t i = begin; i < end; ++i)
      distance += std::abs(static_cast<double>(z[i]) - 1);
    row.distance.push_back(distance / static_cast<double>(end - begin));
  }
  return row;
}

bool heatmap_job::advance(language_model& model) {
  const auto parsed = parse_expert(
      version_.z_safetensors,
      version_.expert + "@" + std::to_string(version_.version), model.config(),
      model.fingerprint());
  if (!parsed) {
    outcome_ = parsed.error();
    return false;
  }
  expert_heatmap map{.expert = version_.expert,
                     .version = version_.version,
                     .targets = std::string(to_string(parsed->targets))};
  const svf_layout layout(model.config(), parsed->targets);
  const at::Tensor z = parsed->z.contiguous();
  const std::span all(z.const_data_ptr<float>(),
                      static_cast<std::size_t>(layout.total()));
  for (std::size_t p = 0; p < layout.size(); ++p) {
    const projection& one = layout.projections()[p];
    heatmap_row row =
        summarise_z(all.subspan(static_cast<std::size_t>(layout.offset(p)),
                                static_cast<std::size_t>(one.rank())));
    if (one.layer != projection::no_layer) row.layer = one.layer;
    row.projection = names.at(static_cast<std::size_t>(one.kind));
    map.rows.push_back(std::move(row));
  }
  outcome_ = std::move(map);
  return false;
}

}  // namespace t2
