#pragma once

#include <cstddef>
#include <string_view>

#include "config/result.hpp"

namespace t2 {

/// What a record may hold at most, in bytes unless it says otherwise.
namespace record_limits {
inline constexpr std::size_t name = 64;
inline constexpr std::size_t short_text = 4096;  // descriptions, options' words
inline constexpr std::size_t json = 4u << 20;    // any *_json
inline constexpr std::size_t text = 1u << 20;    // a prompt, an answer
inline constexpr std::size_t z = 512u << 20;     // an expert's safetensors
inline constexpr std::size_t examples = 10'000;  // of a task, count
inline constexpr std::size_t task = 64u << 20;   // all of a task's examples
inline constexpr std::size_t used_versions = 1024;  // of a mixture, count
}  // namespace record_limits

/// Names of experts and tasks: [a-z0-9][a-z0-9._-]{0,63}, which is also safe
/// as a file's name. `field` says in the error what was named.
result<void> check_name(std::string_view field, std::string_view name);

}  // namespace t2
