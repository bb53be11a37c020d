#pragma once

#include <optional>
#include <string>

#include "adaptation/advantage.hpp"
#include "adaptation/query.hpp"
#include "adaptation/svf_norm.hpp"
#include "config/result.hpp"
#include "model/kl_divergence.hpp"
#include "model/lora.hpp"
#include "model/projection.hpp"

namespace t2 {

/// The words of a training_spec as values, its numbers checked.
struct training_options {
  svf_targets targets = svf_targets::all;
  svf_norm norm = svf_norm::none;
  svf_parametrisation parametrisation = svf_parametrisation::direct;
  std::optional<lora_shape> lora;  // none: SVF
  advantage_kind advantage = advantage_kind::leave_one_out;
  kl_direction direction = kl_direction::policy_base;
};

/// ec::invalid_argument names the field, what was expected and what found.
result<training_options> check(const training_spec& spec);

/// What of a spec makes the run what it is, as JSON with sorted keys: not the
/// name, the data (hashed apart) or where checkpoints go. `chat_prompts`: bare
/// prompts of the data are asked through the chat template.
std::string canonical_json(const training_spec& spec,
                           bool chat_prompts = false);

}  // namespace t2
