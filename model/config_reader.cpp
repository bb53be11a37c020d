#include "model/config_reader.hpp"

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

const nlohmann::json* config_reader::value(std::string_view key) const {
  const auto at = json_.find(key);
  return at == json_.end() || at->is_null() ? nullptr : &*at;
}

bool config_reader::has(std::string_view key) const {
  return value(key) != nullptr;
}

std::int64_t config_reader::integer(std::string_view key, std::int64_t low,
                                    std::int64_t high,
                                    std::optional<std::int64_t> fallback) {
  const auto* at = value(key);
  if (!at && fallback) return *fallback;
  if (at && at->is_number_integer()) {
    // Unsigned values beyond 63 bits would wrap to negative ones.
    const bool wraps =
        at->is_number_unsigned() &&
        at->get<std::uint64_t>() > static_cast<std::uint64_t>(high < 0 ? 0 : high);
    const auto number = wraps ? high : at->get<std::int64_t>();
    if (!wraps && number >= low && number <= high) return number;
  }
  refuse(key,
         "an integer within " + std::to_string(low) + " .. " +
             std::to_string(high),
         found(key));
  return fallback.value_or(low);
}

double config_reader::number(std::string_view key, double low, double high,
                             std::optional<double> fallback) {
  const auto* at = value(key);
  if (!at && fallback) return *fallback;
  if (at && at->is_number()) {
    const auto number = at->get<double>();
    if (std::isfinite(number) && number >= low && number <= high)
      return number;
  }
  refuse(key, "a number within " + plain(low) + " .. " + plain(high),
         found(key));
  return fallback.value_or(low);
}

bool config_reader::boolean(std::string_view key, bool fallback) {
  const auto* at = value(key);
  if (!at) return fallback;
  if (at->is_boolean()) return at->get<bool>();
  refuse(key, "true or false", found(key));
  return fallback;
}

std::string config_reader::text(std::string_view key,
                                std::string_view fallback) {
  const auto* at = value(key);
  if (!at) return std::string{fallback};
  if (at->is_string()) return at->get<std::string>();
  refuse(key, "a string", found(key));
  return std::string{fallback};
}

const nlohmann::json* config_reader::object(std::string_view key) {
  const auto* at = value(key);
  if (at && !at->is_object()) {
    refuse(key, "an object", found(key));
    return nullptr;
  }
  return at;
}

void config_reader::refuse(std::string_view key, const std::string& expected,
                           const std::string& found) {
  if (failure_) return;
  const auto called = called_.find(key);
  const auto name =
      called == called_.end() ? std::string{key} : called->second;
  failure_ = error{ec::invalid_argument, file_ + ": " + name +
                                             ": expected " + expected +
                                             ", found " + found};
}

void config_reader::adopt(const config_reader& nested) {
  if (!failure_ && nested.failure_) failure_ = nested.failure_;
}

std::string config_reader::found(std::string_view key) const {
  const auto at = json_.find(key);
  if (at == json_.end()) return "none";
  // Bytes that are not UTF-8 must not throw out of an error message.
  auto text = at->dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  if (text.size() > 80) text = text.substr(0, 77) + "...";
  return text;
}

}  // namespace t2
