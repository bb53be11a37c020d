#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>

#include "config/result.hpp"

namespace t2 {

/// An advisory lock on one name among many, all in one file: a byte of it, by
/// the name's hash, is locked. Held by this object alone (not by the process),
/// so threads exclude each other too; the system lets go when a process dies.
class file_lock {
 public:
  enum class kind { shared, exclusive };

  /// Waits. The file is made where it is missing; ec::io where that fails.
  static result<file_lock> take(const std::filesystem::path& file,
                                std::string_view name, kind which);
  /// Nothing where somebody else has it.
  static result<std::optional<file_lock>> try_take(
      const std::filesystem::path& file, std::string_view name, kind which);

  file_lock(file_lock&& other) noexcept : descriptor_{other.descriptor_} {
    other.descriptor_ = -1;
  }
  file_lock& operator=(file_lock&& other) noexcept;
  ~file_lock();

 private:
  explicit file_lock(int descriptor) : descriptor_{descriptor} {}

  int descriptor_;
};

}  // namespace t2
