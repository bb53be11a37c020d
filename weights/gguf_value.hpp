#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

namespace t2 {

/// Types of GGUF's metadata, by the numbers that files use.
enum class gguf_type : std::uint32_t {
  uint8 = 0, int8 = 1, uint16 = 2, int16 = 3, uint32 = 4, int32 = 5,
  float32 = 6, boolean = 7, string = 8, array = 9,
  uint64 = 10, int64 = 11, float64 = 12,
};

/// "a string", "an array of int32": what an error found.
std::string_view to_string(gguf_type type);

/// A list of the metadata, checked to lie within the file and read on demand.
/// Its bytes are the file's.
struct gguf_array {
  gguf_type type = gguf_type::uint8;  // never array
  std::uint64_t size = 0;
  std::span<const std::byte> bytes = {};

  /// Empty for a list of another type.
  std::vector<std::string_view> strings() const;
  /// Whole numbers of any width; empty for others.
  std::vector<std::int64_t> integers() const;
  /// float32 and float64; empty for others.
  std::vector<float> floats() const;
};

/// A value of the metadata. Whole numbers are int64 whatever their width; one
/// above 2^63 − 1 is uint64. Text is the file's.
using gguf_value = std::variant<bool, std::int64_t, std::uint64_t, double,
                                std::string_view, gguf_array>;

}  // namespace t2
