#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "config/result.hpp"

namespace t2 {

/// Reads checked values out of one JSON object of a config file. The first
/// value that is not as it must be is kept as the error, later reads return
/// defaults: a parser reads all it needs and asks once, at the end.
class config_reader {
 public:
  /// `json` must outlive the reader; `file` stands in errors.
  config_reader(const nlohmann::json& json, std::string file)
      : json_{json}, file_{std::move(file)} {}

  /// Present and not null.
  bool has(std::string_view key) const;
  /// Present, null or not.
  bool names(std::string_view key) const { return json_.contains(key); }

  /// An integer within [low, high]; without a fallback the key must be there.
  /// null counts as absent.
  std::int64_t integer(std::string_view key, std::int64_t low,
                       std::int64_t high,
                       std::optional<std::int64_t> fallback = std::nullopt);
  /// A finite number within [low, high].
  double number(std::string_view key, double low, double high,
                std::optional<double> fallback = std::nullopt);
  bool boolean(std::string_view key, bool fallback);
  std::string text(std::string_view key, std::string_view fallback);
  /// A nested object, read by another reader; null where there is none.
  const nlohmann::json* object(std::string_view key);

  /// The value as it stands; null where it is null or not there.
  const nlohmann::json* value(std::string_view key) const;

  /// Errors call `key` so: what the JSON was made of has other names.
  void call(std::string_view key, std::string name) {
    called_.insert_or_assign(std::string{key}, std::move(name));
  }

  /// Keeps `file: key: expected ..., found ...` unless an error is kept.
  void refuse(std::string_view key, const std::string& expected,
              const std::string& found);
  void adopt(const config_reader& nested);
  /// The value as written, shortened; "none" where there is no such key.
  std::string found(std::string_view key) const;

  const std::string& file() const { return file_; }
  const std::optional<error>& failure() const { return failure_; }

 private:
  const nlohmann::json& json_;
  std::string file_;
  std::optional<error> failure_;
  std::map<std::string, std::string, std::less<>> called_;
};

}  // namespace t2
