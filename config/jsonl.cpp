#include "config/jsonl.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

namespace t2 {
namespace {

/// The deepest nesting of brackets outside of strings. Wrong JSON gives some
/// number; the parser refuses it afterwards.
std::size_t nesting(std::string_view text) {
  std::size_t depth = 0;
  std::size_t deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  return deepest;
}

/// nlohmann's `[json.exception.parse_error.101] parse error at line 1, column
/// 5: syntax error ...` without its number and line.
std::string reason(const nlohmann::json::exception& failure) {
  std::string_view what(failure.what());
  if (const auto at = what.find("] "); at != std::string_view::npos) {
    what.remove_prefix(at + 2);
  }
  if (const auto at = what.find("column "); at != std::string_view::npos) {
    what.remove_prefix(at);
  }
  // The quoted token can be as long as the text.
  return std::string(what.substr(0, 200));
}

}  // namespace

result<nlohmann::json> parse_json(std::string_view text,
                                  const json_limits& limits) {
  if (text.size() > limits.bytes) {
    return error{ec::exhausted,
                 "expected JSON of at most " +
                     print_byte_size(static_cast<std::int64_t>(limits.bytes)) +
                     ", found " +
                     print_byte_size(static_cast<std::int64_t>(text.size()))};
  }
  if (const auto depth = nesting(text); depth > limits.depth) {
    return error{ec::invalid_argument, "expected JSON nested at most " +
                                           std::to_string(limits.depth) +
                                           " deep, found " +
                                           std::to_string(depth)};
  }
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::exception& failure) {
    return error{ec::invalid_argument,
                 "expected JSON, found: " + reason(failure)};
  }
}

std::string_view json_type(const nlohmann::json& value) {
  switch (value.type()) {
    case nlohmann::json::value_t::null: return "null";
    case nlohmann::json::value_t::boolean: return "a boolean";
    case nlohmann::json::value_t::string: return "a string";
    case nlohmann::json::value_t::array: return "an array";
    case nlohmann::json::value_t::object: return "an object";
    default: return "a number";
  }
}

result<jsonl_reader> jsonl_reader::open(const std::filesystem::path& file,
                                        const json_limits& limits) {
  std::error_code failure;
  const auto status = std::filesystem::status(file, failure);
  if (!std::filesystem::exists(status)) {
    return error{ec::not_found,
                 file.string() + ": expected a file, found none"};
  }
  const auto refused = [&](const char* why) {
    return error{ec::io,
                 file.string() + ": expected a readable file, found: " + why};
  };
  if (std::filesystem::is_directory(status)) return refused("a directory");
  errno = 0;
  auto in = std::make_unique<std::ifstream>(file, std::ios::binary);
  if (!*in) return refused(std::strerror(errno));
  return jsonl_reader(std::move(in), file.string(), limits);
}

jsonl_reader::jsonl_reader(std::unique_ptr<std::istream> in, std::string name,
                           const json_limits& limits)
    : in_(std::move(in)), name_(std::move(name)), limits_(limits) {}

/// Reads one byte more than the limit at most; false at the end.
bool jsonl_reader::read_line() {
  line_.clear();
  auto* buffer = in_->rdbuf();
  using traits = std::istream::traits_type;
  for (auto c = buffer->sbumpc();; c = buffer->sbumpc()) {
    if (traits::eq_int_type(c, traits::eof())) return !line_.empty();
    if (c == '\n') return true;
    line_ += traits::to_char_type(c);
    if (line_.size() > limits_.bytes) return true;
  }
}

result<std::optional<jsonl_line>> jsonl_reader::next() {
  while (in_ != nullptr && read_line()) {
    ++number_;
    std::string_view text(line_);
    if (number_ == 1 && text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
    if (text.ends_with('\r')) text.remove_suffix(1);
    if (text.find_first_not_of(" \t") == std::string_view::npos) continue;
    const auto where = [&] { return name_ + ":" + std::to_string(number_); };
    if (line_.size() > limits_.bytes) {
      in_.reset();
      return error{
          ec::exhausted,
          where() + ": expected a line of at most " +
              print_byte_size(static_cast<std::int64_t>(limits_.bytes)) +
              ", found a longer one"};
    }
    auto value = parse_json(text, limits_);
    if (!value) {
      in_.reset();
      return error{value.error().code, where() + ": " + value.error().message};
    }
    return std::optional(
        jsonl_line{.value = std::move(*value), .number = number_});
  }
  const bool failed = in_ != nullptr && in_->bad();
  in_.reset();
  if (failed)
    return error{ec::io,
                 name_ + ": expected to read on, found: an input error"};
  return std::optional<jsonl_line>();
}

}  // namespace t2
