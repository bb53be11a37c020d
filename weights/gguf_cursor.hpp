#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

namespace t2 {

/// Reads what follows in a buffer; nothing where it ends before. Little-endian,
/// as t2's machines are.
class gguf_cursor {
 public:
  explicit gguf_cursor(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::size_t position() const { return position_; }
  std::uint64_t left() const { return bytes_.size() - position_; }

  template <class T>
  std::optional<T> number() {
    static_assert(std::endian::native == std::endian::little);
    const auto from = take(sizeof(T));
    if (!from) return std::nullopt;
    T value;
    std::memcpy(&value, from->data(), sizeof value);
    return value;
  }

  std::optional<std::span<const std::byte>> take(std::uint64_t count) {
    if (count > left()) return std::nullopt;
    const auto from =
        bytes_.subspan(position_, static_cast<std::size_t>(count));
    position_ += from.size();
    return from;
  }

  /// A length of eight bytes and as many bytes of text.
  std::optional<std::string_view> text() {
    const auto length = number<std::uint64_t>();
    if (!length) return std::nullopt;
    const auto from = take(*length);
    if (!from) return std::nullopt;
    return std::string_view{reinterpret_cast<const char*>(from->data()),
                            from->size()};
  }

 private:
  std::span<const std::byte> bytes_;
  std::size_t position_ = 0;
};

}  // namespace t2
