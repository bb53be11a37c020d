#include "text/continuation.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "text/detokenizer.hpp"

namespace t2 {
namespace {

using ids = std::vector<token_id>;

// Text is read behind one of these to be read as within a text: a tokenizer
// that opens each text with a space opens the anchor with it. They are of
// several kinds, because a token may reach from one of them into the text.
constexpr std::array<std::string_view, 4> anchors{"\n", "a", ".", "1"};

/// The ids of `text` behind the anchor; nothing where a token has both.
result<std::optional<ids>> behind(const tokenizer& vocabulary,
                                  std::string_view anchor,
                                  const std::string& text) {
  const auto alone = vocabulary.encode(anchor, false);
  if (!alone) return alone.error();
  const auto both = vocabulary.encode(std::string{anchor} + text, false);
  if (!both) return both.error();
  if (std::ranges::mismatch(*both, *alone).in2 != alone->end())
    return std::optional<ids>{};
  return std::optional{
      ids(both->begin() + static_cast<std::ptrdiff_t>(alone->size()),
          both->end())};
}

/// What the tokenizer keeps of `text` within a text: a normalizer may change
/// it.
result<std::string> kept(const tokenizer& vocabulary, const std::string& text) {
  const std::string anchor{anchors.front()};
  const auto both = vocabulary.encode(anchor + text, false);
  if (!both) return both.error();
  auto whole = vocabulary.decode(*both, true);
  if (!whole) return whole.error();
  return whole->starts_with(anchor) ? whole->substr(anchor.size()) : text;
}

result<std::string> decoded_behind(
    const std::shared_ptr<const tokenizer>& vocabulary,
    std::span<const token_id> before, const ids& after) {
  detokenizer reading(vocabulary);
  if (auto ok = reading.begin_after(before); !ok) return ok.error();
  std::string text;
  for (const token_id id : after) {
    const auto more = reading.push(id);
    if (!more) return more.error();
    text += *more;
  }
  const auto rest = reading.finish();
  if (!rest) return rest.error();
  return text + *rest;
}

}  // namespace

result<ids> continuation(const std::shared_ptr<const tokenizer>& vocabulary,
                         std::span<const token_id> before,
                         const std::string& text) {
  const auto wanted = kept(*vocabulary, text);
  if (!wanted) return wanted.error();
  auto own = vocabulary->encode(text, false);
  if (!own) return own.error();
  const auto fits = decoded_behind(vocabulary, before, *own);
  if (!fits) return fits.error();
  if (*fits == *wanted) return own;
  std::optional<ids> within;
  for (const auto anchor : anchors) {
    auto found = behind(*vocabulary, anchor, text);
    if (!found) return found.error();
    if (!*found) continue;
    const auto said = decoded_behind(vocabulary, before, **found);
    if (!said) return said.error();
    if (*said == *wanted) return **std::move(found);
    if (!within) within = *std::move(found);
  }
  return within ? *std::move(within) : *std::move(own);
}

}  // namespace t2
