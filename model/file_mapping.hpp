#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>

#include "config/result.hpp"

namespace t2 {

/// A regular file mapped read-only; unmapped with the last pointer to it.
/// Shortening the file while it is mapped makes reads of the lost pages fault
/// (SIGBUS): replace mapped files by rename, never in place.
class file_mapping {
 public:
  /// ec::not_found where there is no such file, ec::invalid_argument where it
  /// is not a regular file, ec::io otherwise.
  static result<std::shared_ptr<const file_mapping>> open(
      const std::filesystem::path& path);

  file_mapping(const file_mapping&) = delete;
  file_mapping& operator=(const file_mapping&) = delete;
  ~file_mapping();

  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  file_mapping(const std::byte* data, std::size_t size)
      : data_{data}, size_{size} {}

  const std::byte* data_;  // null for an empty file
  std::size_t size_;
};

}  // namespace t2
