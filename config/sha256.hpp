#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace t2 {

/// SHA-256 (FIPS 180-4) of bytes that arrive in pieces. A plain value: copy it
/// to hash two continuations of one prefix. One thread at a time.
class sha256 {
 public:
  /// Which code compresses. `automatic` uses the CPU's SHA instructions where
  /// it has them; both give the same digest (tests compare them).
  enum class path { automatic, portable };

  explicit sha256(path which = path::automatic);

  /// Appends `bytes` to the message.
  void update(std::span<const std::byte> bytes);

  /// Appends the characters of `text`, without a terminator.
  void update(std::string_view text) {
    update(std::as_bytes(std::span(text.data(), text.size())));
  }

  /// The digest of all bytes so far. The message may go on afterwards.
  std::array<std::byte, 32> digest() const;

  /// The digest as 64 lower-case hexadecimal digits.
  std::string hex() const;

 private:
  using compressor = void (*)(std::uint32_t* state, const std::byte* blocks,
                              std::size_t count);

  compressor compress_;
  std::array<std::uint32_t, 8> state_;
  std::array<std::byte, 64> tail_;  // the message's last length_ % 64 bytes
  std::uint64_t length_ = 0;        // of the message, in bytes
};

/// The digest of `bytes` as 64 lower-case hexadecimal digits.
std::string sha256_hex(std::span<const std::byte> bytes);

/// The same for the characters of `text`.
std::string sha256_hex(std::string_view text);

}  // namespace t2
