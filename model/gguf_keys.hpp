#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/result.hpp"
#include "weights/gguf_file.hpp"

namespace t2 {

/// Text of a file for an error: one line of at most 64 characters.
std::string printable_text(std::string_view text);

/// Reads checked values out of a GGUF file's metadata, as config_reader does out
/// of JSON: the first that is not as it must be is kept as the error, and later
/// reads go on.
class gguf_keys {
 public:
  /// `file` must outlive the reader.
  explicit gguf_keys(const gguf_file& file) : file_{file} {}

  const gguf_value* value(std::string_view key) const;
  bool has(std::string_view key) const { return value(key) != nullptr; }

  // Nothing, or an empty list, where there is no such key.
  std::optional<std::string_view> text(std::string_view key);
  std::optional<bool> flag(std::string_view key);
  std::optional<std::int64_t> integer(std::string_view key, std::int64_t low,
                                      std::int64_t high);
  std::optional<double> number(std::string_view key);
  std::vector<std::string_view> texts(std::string_view key);
  std::vector<std::int64_t> integers(std::string_view key);
  std::vector<float> floats(std::string_view key);

  /// Keeps `FILE: key: expected ..., found ...` unless an error is kept.
  void refuse(ec code, std::string_view key, const std::string& expected,
              const std::string& found);
  /// The value in short; "none" where there is no such key.
  std::string found(std::string_view key) const;
  const std::optional<error>& failure() const { return failure_; }

 private:
  const gguf_array* list(std::string_view key, const char* expected);

  const gguf_file& file_;
  std::optional<error> failure_;
};

}  // namespace t2
