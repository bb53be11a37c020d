#pragma once

// Private to the room: what its sources share in talking to Rust.

#include <rust/cxx.h>

#include <cstdint>
#include <exception>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "config/result.hpp"
#include "t2_text_rust/src/lib.rs.h"
#include "text/tokenizer.hpp"

namespace t2 {

struct tokenizer::bridge {
  rust::Box<text_rust::Tokenizer> box;
};

namespace text_bridge {

/// `text` as Rust sees bytes; Rust checks whether they are UTF-8.
inline rust::Slice<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

inline std::string string_of(const rust::String& text) {
  return {text.data(), text.size()};
}

/// The error behind "CODE MESSAGE", which is how failure.rs prints one.
error error_of(const std::exception& thrown);

/// Runs `call`; what Rust reports becomes an error value.
template <class T, class Call>
result<T> attempt(Call&& call) {
  try {
    return std::forward<Call>(call)();
  } catch (const std::exception& thrown) {
    return error_of(thrown);
  }
}

/// The bytes of `file`; nullopt where there is none. More than `limit` bytes
/// are ec::corrupt.
result<std::optional<std::string>> read_file(const std::filesystem::path& file,
                                             std::uint64_t limit);

}  // namespace text_bridge
}  // namespace t2
