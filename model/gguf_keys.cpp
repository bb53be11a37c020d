#include "model/gguf_keys.hpp"

#include <cmath>
#include <cstdio>
#include <utility>

namespace t2 {
namespace {

std::string plain(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}

}  // namespace

std::string printable_text(std::string_view text) {
  constexpr std::size_t most = 64;
  std::string out;
  for (const char c : text.substr(0, most)) {
    const auto byte = static_cast<unsigned char>(c);
    out += byte < 0x20 || byte >= 0x7f ? '?' : c;
  }
  return text.size() > most ? out + "..." : out;
}

const gguf_value* gguf_keys::value(std::string_view key) const {
  const auto at = file_.metadata().find(key);
  return at == file_.metadata().end() ? nullptr : &at->second;
}

std::optional<std::string_view> gguf_keys::text(std::string_view key) {
  const auto* at = value(key);
  if (!at) return std::nullopt;
  if (const auto* text = std::get_if<std::string_view>(at)) return *text;
  refuse(ec::corrupt, key, "a string", found(key));
  return std::nullopt;
}

std::optional<bool> gguf_keys::flag(std::string_view key) {
  const auto* at = value(key);
  if (!at) return std::nullopt;
  if (const auto* flag = std::get_if<bool>(at)) return *flag;
  refuse(ec::corrupt, key, "a bool", found(key));
  return std::nullopt;
}

std::optional<std::int64_t> gguf_keys::integer(std::string_view key,
                                               std::int64_t low,
                                               std::int64_t high) {
  const auto* at = value(key);
  if (!at) return std::nullopt;
  if (const auto* number = std::get_if<std::int64_t>(at);
      number && *number >= low && *number <= high)
    return *number;
  refuse(ec::corrupt, key,
         "an integer within " + std::to_string(low) + " .. " +
             std::to_string(high),
         found(key));
  return std::nullopt;
}

std::optional<double> gguf_keys::number(std::string_view key) {
  const auto* at = value(key);
  if (!at) return std::nullopt;
  if (const auto* number = std::get_if<double>(at);
      number && std::isfinite(*number))
    return *number;
  if (const auto* number = std::get_if<std::int64_t>(at))
    return static_cast<double>(*number);
  refuse(ec::corrupt, key, "a number", found(key));
  return std::nullopt;
}

const gguf_array* gguf_keys::list(std::string_view key, const char* expected) {
  const auto* at = value(key);
  if (!at) return nullptr;
  const auto* list = std::get_if<gguf_array>(at);
  if (!list) refuse(ec::corrupt, key, expected, found(key));
  return list;
}

std::vector<std::string_view> gguf_keys::texts(std::string_view key) {
  constexpr auto* expected = "a list of strings";
  const auto* all = list(key, expected);
  if (!all) return {};
  if (all->type != gguf_type::string)
    refuse(ec::corrupt, key, expected, found(key));
  return all->strings();
}

std::vector<std::int64_t> gguf_keys::integers(std::string_view key) {
  constexpr auto* expected = "a list of whole numbers";
  const auto* all = list(key, expected);
  if (!all) return {};
  auto values = all->integers();
  if (values.size() != all->size)
    refuse(ec::corrupt, key, expected, found(key));
  return values;
}

std::vector<float> gguf_keys::floats(std::string_view key) {
  constexpr auto* expected = "a list of numbers";
  const auto* all = list(key, expected);
  if (!all) return {};
  auto values = all->floats();
  if (values.size() != all->size)
    refuse(ec::corrupt, key, expected, found(key));
  return values;
}

void gguf_keys::refuse(ec code, std::string_view key,
                       const std::string& expected, const std::string& what) {
  if (failure_) return;
  failure_ = error{code, file_.label() + ": " + printable_text(key) +
                             ": expected " + expected + ", found " + what};
}

std::string gguf_keys::found(std::string_view key) const {
  const auto* at = value(key);
  if (!at) return "none";
  if (const auto* flag = std::get_if<bool>(at)) return *flag ? "true" : "false";
  if (const auto* number = std::get_if<std::int64_t>(at))
    return std::to_string(*number);
  if (const auto* number = std::get_if<std::uint64_t>(at))
    return std::to_string(*number);
  if (const auto* number = std::get_if<double>(at)) return plain(*number);
  if (const auto* text = std::get_if<std::string_view>(at))
    return "'" + printable_text(*text) + "'";
  const auto& list = std::get<gguf_array>(*at);
  return "a list of " + std::to_string(list.size) + ", each " +
         std::string{to_string(list.type)};
}

}  // namespace t2
