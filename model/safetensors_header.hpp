#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/result.hpp"

namespace t2 {

/// One entry of a safetensors header, as written: not yet checked against the
/// bytes that follow.
struct header_entry {
  std::string name;
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0;  // of its bytes, counted from the header's end
  std::uint64_t end = 0;
};

struct safetensors_header {
  std::vector<header_entry> entries;  // in the order of the file
  std::map<std::string, std::string> metadata;
};

/// Reads the JSON of a header in one pass without building a document, so
/// that depth, repeated names and wrong types are refused where they stand.
/// `file` stands in the errors (ec::corrupt).
result<safetensors_header> parse_safetensors_header(std::string_view json,
                                                    const std::string& file);

}  // namespace t2
