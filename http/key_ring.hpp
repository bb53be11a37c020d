#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/result.hpp"
#include "http/caller.hpp"

namespace t2 {

/// The API keys of a server. Keeps their hashes only. Read-only once made: any
/// thread.
class key_ring {
 public:
  /// `name scope key` a line (docs/formats.md). ec::invalid_argument when
  /// others than its owner may read the file, or names the line that is wrong.
  static result<key_ring> read(const std::filesystem::path& file);
  /// The same from a text; `file` is for messages.
  static result<key_ring> parse(std::string_view text, const std::string& file);

  /// Whose key it is. Takes as long whatever the key is.
  std::optional<http_caller> find(std::string_view key) const;

  std::size_t size() const { return entries_.size(); }

 private:
  struct entry {
    http_caller caller;
    std::array<std::byte, 32> digest{};
  };
  std::vector<entry> entries_;
};

}  // namespace t2
