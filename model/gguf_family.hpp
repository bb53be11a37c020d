#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/weight_names.hpp"

namespace t2 {

/// A family as GGUF files have it. A family more is a line in gguf_family.cpp.
struct gguf_family {
  std::string_view architecture;  // general.architecture
  std::string_view model_type;    // config.json's
  std::vector<weight_name> names;
};

/// Null for an architecture that t2 does not know.
const gguf_family* find_gguf_family(std::string_view architecture);
/// "gemma3, gpt2, llama".
std::string known_gguf_architectures();

}  // namespace t2
