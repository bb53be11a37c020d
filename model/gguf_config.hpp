#pragma once

#include <filesystem>

#include "config/result.hpp"
#include "model/model_config.hpp"

namespace t2 {

/// What a GGUF file says of its model. The metadata are put into the words of a
/// config.json, which the family reads as it reads any other; sizes of the
/// vocabulary, a tied head and biases are those of the tensors. Refused by name:
/// an architecture, a key of it or a tensor that t2 does not know.
result<model_config> read_gguf_config(const std::filesystem::path& path);

}  // namespace t2
