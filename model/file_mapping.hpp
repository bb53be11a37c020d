#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "config/result.hpp"
#include "model/mapped_files.hpp"

namespace t2 {

/// A regular file mapped read-only; unmapped with the last pointer to it.
/// Shortening the file while it is mapped makes reads of the lost pages fault
/// (SIGBUS, see report_lost_pages); writing to it changes what is read. A file
/// that is replaced by rename or removed stays mapped as it was.
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
  /// The pages that were read are the process's no longer, until they are read
  /// again.
  void forget_pages() const;
  /// The path that it was opened by.
  const char* name() const { return name_.c_str(); }
  /// The file's state when it was mapped.
  const file_state& state() const { return state_; }

 private:
  file_mapping(const std::byte* data, std::size_t size, std::string name,
               const file_state& state)
      : data_{data}, size_{size}, name_{std::move(name)}, state_{state} {
    mapping_table::add(*this);
  }

  const std::byte* data_;  // null for an empty file
  std::size_t size_;
  std::string name_;
  file_state state_;
};

}  // namespace t2
