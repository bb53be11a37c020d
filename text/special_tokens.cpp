#include "text/special_tokens.hpp"

#include <array>

#include "text/bridge.hpp"

namespace t2 {

using namespace text_bridge;

namespace {

constexpr std::uint64_t max_file_bytes = 16 << 20;
constexpr std::int64_t max_id = std::int64_t{1} << 31;

/// Spells what only has an id. Ids that the tokenizer does not have, and
/// tokens that are no text, name nothing.
void spell(const text_rust::SpecialTokens& found, const tokenizer& text,
           special_tokens& tokens) {
  for (std::size_t i = 0; i < found.numbered.size(); ++i) {
    const auto id = found.numbers[i];
    if (id < 0 || id >= max_id) continue;
    const auto spelling = text.token_bytes(static_cast<token_id>(id));
    if (spelling && !spelling->empty() && spelling->find('\0') ==
                                               std::string::npos)
      tokens.spelled.emplace(string_of(found.numbered[i]), *spelling);
  }
}

}  // namespace

result<special_tokens> special_tokens::load(
    const std::filesystem::path& folder) {
  std::array<std::string, 4> files;
  const std::array names{"tokenizer_config.json", "special_tokens_map.json",
                         "config.json", "generation_config.json"};
  for (std::size_t i = 0; i < names.size(); ++i) {
    auto bytes = read_file(folder / names[i], max_file_bytes);
    if (!bytes) return bytes.error();
    files[i] = (*bytes).value_or("");
  }
  auto loaded = attempt<special_tokens>([&] {
    const auto found = text_rust::read_special_tokens(
        bytes_of(files[0]), bytes_of(files[1]), bytes_of(files[2]),
        bytes_of(files[3]));
    special_tokens tokens;
    for (std::size_t i = 0; i < found.names.size(); ++i)
      tokens.spelled.emplace(string_of(found.names[i]),
                             string_of(found.spellings[i]));
    for (std::size_t i = 0; i < found.added.size(); ++i)
      tokens.added.emplace(string_of(found.added[i]), found.ids[i]);
    if (!found.numbered.empty())
      if (const auto text = tokenizer::load(folder); text)
        spell(found, **text, tokens);
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

}  // namespace t2
