#include "model/weight_names.hpp"

#include <algorithm>
#include <cctype>

namespace t2 {
namespace {

/// The number that stands in `name` for the pattern's {}; "" where there is
/// none to stand. False where the two differ elsewhere.
bool matches(std::string_view pattern, std::string_view name,
             std::string_view& number) {
  const auto hole = pattern.find("{}");
  if (hole == std::string_view::npos) return pattern == name;
  const auto before = pattern.substr(0, hole);
  const auto after = pattern.substr(hole + 2);
  if (name.size() <= before.size() + after.size() ||
      !name.starts_with(before) || !name.ends_with(after))
    return false;
  number =
      name.substr(before.size(), name.size() - before.size() - after.size());
  return std::ranges::all_of(
      number, [](unsigned char c) { return std::isdigit(c) != 0; });
}

}  // namespace

stored_weight weight_names::find(std::string_view canonical) const {
  const auto dot = canonical.rfind('.');
  const auto stem = canonical.substr(0, dot);
  for (const auto& rule : rules_) {
    std::string_view number;
    if (!matches(rule.canonical, stem, number)) continue;
    std::string stored{rule.stored};
    if (const auto hole = stored.find("{}"); hole != std::string::npos)
      stored.replace(hole, 2, number);
    stored += canonical.substr(dot);
    if (prefix_.empty()) return {std::move(stored), rule.how};
    auto whole = std::string{prefix_} + stored;
    return {std::move(stored), rule.how, std::move(whole)};
  }
  return {std::string{canonical}, stored_as::itself};
}

bool is_transposed(stored_as how) {
  return how == stored_as::transposed || how == stored_as::transposed_query ||
         how == stored_as::transposed_key || how == stored_as::transposed_value;
}

bool is_by_head(stored_as how) {
  return how == stored_as::query_by_head || how == stored_as::key_by_head ||
         how == stored_as::value_by_head;
}

stored_rows rows_of(stored_as how, std::int64_t rows,
                    const model_config& config) {
  const auto query = config.heads * config.head_dim;
  const auto key = config.kv_heads * config.head_dim;
  const auto all = query + 2 * key;
  switch (how) {
    case stored_as::query:
    case stored_as::transposed_query: return {0, query, all};
    case stored_as::key:
    case stored_as::transposed_key: return {query, key, all};
    case stored_as::value:
    case stored_as::transposed_value: return {query + key, key, all};
    case stored_as::gate:
      return {0, config.intermediate, 2 * config.intermediate};
    case stored_as::up:
      return {config.intermediate, config.intermediate,
              2 * config.intermediate};
    case stored_as::query_by_head:
    case stored_as::key_by_head:
    case stored_as::value_by_head: return {0, query, 3 * query};
    case stored_as::itself:
    case stored_as::transposed:
    case stored_as::rotated_pairs: break;
  }
  return {0, rows, rows};
}

}  // namespace t2
