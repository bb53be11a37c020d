#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "config/result.hpp"

namespace t2 {

/// A whole file of at most `most` bytes. ec::not_found, ec::io (a directory,
/// no permission) or ec::exhausted (too large) name the file.
result<std::string> read_text_file(const std::filesystem::path& file,
                                   std::int64_t most);

}  // namespace t2
