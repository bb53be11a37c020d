#pragma once

#include <cstddef>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "config/result.hpp"

namespace t2 {

/// Reads a JSON file whose top is an object. A file over `max_bytes`, nested
/// deeper than 64 levels, or not JSON is ec::corrupt with the byte where it
/// goes wrong; a missing one ec::not_found.
result<nlohmann::json> read_json_file(const std::filesystem::path& path,
                                      std::size_t max_bytes = 64 << 20);

}  // namespace t2
