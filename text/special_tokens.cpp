#include "text/special_tokens.hpp"

#include <algorithm>

#include "text/bridge.hpp"

namespace t2 {

using namespace text_bridge;

namespace {

constexpr std::uint64_t max_file_bytes = 16 << 20;

std::optional<bool> flag_of(std::int32_t number) {
  return number < 0 ? std::nullopt : std::optional(number == 1);
}

}  // namespace

result<special_tokens> special_tokens::load(
    const std::filesystem::path& folder) {
  const auto config = read_file(folder / "tokenizer_config.json",
                                max_file_bytes);
  if (!config) return config.error();
  const auto map = read_file(folder / "special_tokens_map.json",
                             max_file_bytes);
  if (!map) return map.error();
  auto loaded = attempt<special_tokens>([&] {
    const auto found = text_rust::read_special_tokens(
        bytes_of(config->value_or("")), bytes_of(map->value_or("")));
    special_tokens tokens;
    for (std::size_t i = 0; i < found.names.size(); ++i)
      tokens.spelled.emplace(string_of(found.names[i]),
                             string_of(found.spellings[i]));
    for (const auto& name : found.without)
      tokens.without.push_back(string_of(name));
    for (std::size_t i = 0; i < found.added.size(); ++i)
      tokens.added.emplace(string_of(found.added[i]), found.ids[i]);
    tokens.adds_bos = flag_of(found.adds_bos);
    tokens.adds_eos = flag_of(found.adds_eos);
    return tokens;
  });
  if (!loaded)
    return error{loaded.error().code,
                 folder.string() + ": " + loaded.error().message};
  return loaded;
}

const std::string* special_tokens::find(const std::string& name) const {
  const auto at = spelled.find(name);
  return at == spelled.end() ? nullptr : &at->second;
}

bool special_tokens::is_without(std::string_view name) const {
  return std::ranges::find(without, name) != without.end();
}

}  // namespace t2
