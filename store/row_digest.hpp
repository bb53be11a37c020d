#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "config/sha256.hpp"

namespace t2 {

/// The checksum of a row: SHA-256 of the table's name and the row's fields,
/// each tagged with its kind and length so that no two rows share an encoding.
class row_digest {
 public:
  explicit row_digest(std::string_view table) { add(table); }

  row_digest& add(std::string_view text) {
    tag('t');
    number(text.size());
    hash_.update(text);
    return *this;
  }
  row_digest& add(std::int64_t value) {
    tag('i');
    number(static_cast<std::uint64_t>(value));
    return *this;
  }
  row_digest& add(const std::optional<std::int64_t>& value) {
    if (value) return add(*value);
    tag('n');
    return *this;
  }

  std::string hex() const { return hash_.hex(); }

 private:
  void tag(char kind) { hash_.update(std::string_view(&kind, 1)); }
  void number(std::uint64_t value) {
    std::array<std::byte, 8> bytes;  // little endian
    for (std::byte& b : bytes) {
      b = static_cast<std::byte>(value & 0xff);
      value >>= 8;
    }
    hash_.update(bytes);
  }

  sha256 hash_;
};

}  // namespace t2
