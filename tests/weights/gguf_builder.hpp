#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "weights/gguf_value.hpp"

namespace t2::tests {

/// Writes a GGUF file piece by piece, right or wrong as a test wants it.
class gguf_builder {
 public:
  std::uint32_t magic = 0x46554747, version = 3;
  std::uint64_t alignment = 32;
  std::int64_t counted_keys = -1, counted_tensors = -1;  // −1: as they are

  template <class T>
  gguf_builder& key(std::string_view name, gguf_type type, T value) {
    open_key(name, type);
    put(keys_, value);
    return *this;
  }
  gguf_builder& text(std::string_view name, std::string_view value) {
    open_key(name, gguf_type::string);
    put_text(keys_, value);
    return *this;
  }
  gguf_builder& texts(std::string_view name,
                      const std::vector<std::string>& values) {
    open_key(name, gguf_type::array);
    put(keys_, gguf_type::string);
    put(keys_, std::uint64_t{values.size()});
    for (const auto& value : values) put_text(keys_, value);
    return *this;
  }
  template <class T>
  gguf_builder& numbers(std::string_view name, gguf_type type,
                        const std::vector<T>& values) {
    open_key(name, gguf_type::array);
    put(keys_, type);
    put(keys_, std::uint64_t{values.size()});
    for (const auto value : values) put(keys_, value);
    return *this;
  }
  /// A key's bytes as they are given, its name and type included.
  gguf_builder& raw_key(const std::vector<std::byte>& bytes) {
    keys_.insert(keys_.end(), bytes.begin(), bytes.end());
    ++key_count_;
    return *this;
  }

  /// `dimensions` innermost first, as the file has them. The data follow those
  /// of the tensor before; `offset` says something else.
  gguf_builder& tensor(std::string_view name,
                       const std::vector<std::uint64_t>& dimensions,
                       std::uint32_t type, const std::vector<std::byte>& data,
                       std::int64_t offset = -1) {
    put_text(infos_, name);
    put(infos_, static_cast<std::uint32_t>(dimensions.size()));
    for (const auto size : dimensions) put(infos_, size);
    put(infos_, type);
    while (data_.size() % alignment != 0) data_.push_back(std::byte{0});
    put(infos_, offset < 0 ? std::uint64_t{data_.size()}
                           : static_cast<std::uint64_t>(offset));
    data_.insert(data_.end(), data.begin(), data.end());
    ++tensor_count_;
    return *this;
  }

  std::vector<std::byte> bytes() const {
    std::vector<std::byte> out;
    put(out, magic);
    put(out, version);
    put(out, counted_tensors < 0 ? tensor_count_
                                 : static_cast<std::uint64_t>(counted_tensors));
    put(out, counted_keys < 0 ? key_count_
                              : static_cast<std::uint64_t>(counted_keys));
    out.insert(out.end(), keys_.begin(), keys_.end());
    out.insert(out.end(), infos_.begin(), infos_.end());
    while (out.size() % alignment != 0) out.push_back(std::byte{0});
    out.insert(out.end(), data_.begin(), data_.end());
    return out;
  }

 private:
  template <class T>
  static void put(std::vector<std::byte>& out, T value) {
    const auto at = out.size();
    out.resize(at + sizeof value);
    std::memcpy(out.data() + at, &value, sizeof value);
  }
  static void put_text(std::vector<std::byte>& out, std::string_view text) {
    put(out, std::uint64_t{text.size()});
    for (const char c : text) out.push_back(static_cast<std::byte>(c));
  }
  void open_key(std::string_view name, gguf_type type) {
    put_text(keys_, name);
    put(keys_, type);
    ++key_count_;
  }

  std::vector<std::byte> keys_, infos_, data_;
  std::uint64_t key_count_ = 0, tensor_count_ = 0;
};

}  // namespace t2::tests
