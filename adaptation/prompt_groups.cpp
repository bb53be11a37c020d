#include "adaptation/prompt_groups.hpp"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "adaptation/leak_guard.hpp"
#include "adaptation/random_stream.hpp"

namespace t2 {

prompt_groups::prompt_groups(std::span<const std::uint64_t> hashes) {
  std::unordered_map<std::uint64_t, std::size_t> known;
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    const auto [at, fresh] = known.try_emplace(hashes[i], members_.size());
    if (fresh) members_.emplace_back();
    members_[at->second].push_back(i);
    group_of_.push_back(at->second);
  }
}

prompt_groups prompt_groups::of(std::span<const example> examples) {
  std::vector<std::uint64_t> hashes;
  hashes.reserve(examples.size());
  for (const example& e : examples) hashes.push_back(prompt_hash(e));
  return prompt_groups{hashes};
}

double prompt_groups::share(std::size_t item) const {
  return 1 / static_cast<double>(members_[group_of_[item]].size());
}

std::vector<double> prompt_groups::means(
    std::span<const double> of_items) const {
  std::vector<double> out;
  out.reserve(members_.size());
  for (const auto& group : members_) {
    double sum = 0;
    for (const std::size_t i : group) sum += of_items[i];
    out.push_back(sum / static_cast<double>(group.size()));
  }
  return out;
}

std::vector<bool> hold_out(const prompt_groups& prompts, double fraction,
                           std::uint64_t seed, std::uint64_t stream) {
  const std::size_t n = prompts.size();
  auto count = static_cast<std::size_t>(
      std::llround(fraction * static_cast<double>(n)));
  if (fraction > 0) count = std::max<std::size_t>(count, 1);
  const auto order = random_stream{seed, stream}.permutation(n);
  std::vector<bool> held(prompts.items());
  for (std::size_t g = 0; g < std::min(count, n); ++g)
    for (const std::size_t i : prompts.members(order[g])) held[i] = true;
  return held;
}

}  // namespace t2
