#pragma once

#include <cstddef>
#include <filesystem>
#include <istream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "config/byte_size.hpp"
#include "config/result.hpp"

namespace t2 {

struct json_limits {
  std::size_t bytes = 16 * mebibyte;  // of one document or line
  std::size_t depth = 64;             // arrays and objects within each other
};

/// One JSON document of untrusted text. Depth is checked before anything is
/// built, so nesting costs no stack. The error's message, without a place:
/// `expected ..., found ...`.
result<nlohmann::json> parse_json(std::string_view text,
                                  const json_limits& limits = {});

/// What a value is, for messages: `a string`, `an array`, `null`.
std::string_view json_type(const nlohmann::json& value);

/// A line of a JSONL stream.
struct jsonl_line {
  nlohmann::json value;
  std::size_t number = 0;  // from 1, blank lines counted
};

/// Reads JSON documents line by line; holds one line at a time. Blank lines, a
/// byte order mark and `\r\n` are fine. One thread.
class jsonl_reader {
 public:
  /// ec::not_found or ec::io.
  static result<jsonl_reader> open(const std::filesystem::path& file,
                                   const json_limits& limits = {});

  /// `name` stands before the line in errors.
  jsonl_reader(std::unique_ptr<std::istream> in, std::string name,
               const json_limits& limits = {});

  /// The next line, nothing at the end; ec::invalid_argument or
  /// ec::exhausted (too long) as `file:line: expected ..., found ...`, after
  /// which the reader is at its end.
  result<std::optional<jsonl_line>> next();

  const std::string& name() const { return name_; }

 private:
  bool read_line();

  std::unique_ptr<std::istream> in_;
  std::string name_;
  json_limits limits_;
  std::string line_;
  std::size_t number_ = 0;
};

}  // namespace t2
