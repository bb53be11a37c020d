#pragma once

#include <span>
#include <string_view>

#include "model/config_reader.hpp"
#include "model/model_config.hpp"

namespace t2 {

/// Refuses, by name, settings of other decoders' configs that would change what
/// is computed and that t2 does not compute: caps on logits, multipliers, norms
/// of queries, experts. One that has its neutral value, or is null, changes
/// nothing and passes. Sizes of `config` must have been read; of the keys in
/// `own` the family makes sense itself.
void refuse_other_numbers(config_reader& json, const model_config& config,
                          std::span<const std::string_view> own = {});

}  // namespace t2
