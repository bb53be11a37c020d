#pragma once

#include <string>

#include "adaptation/query.hpp"
#include "adaptation/svf_norm.hpp"
#include "config/result.hpp"
#include "model/projection.hpp"

namespace t2 {

/// The words of a training_spec as values, its numbers checked.
struct training_options {
  svf_targets targets = svf_targets::all;
  svf_norm norm = svf_norm::none;
  svf_parametrisation parametrisation = svf_parametrisation::direct;
};

/// ec::invalid_argument names the field, what was expected and what found.
result<training_options> check(const training_spec& spec);

/// What of a spec makes the run what it is, as JSON with sorted keys: not the
/// name, the data (hashed apart) or where checkpoints go.
std::string canonical_json(const training_spec& spec);

}  // namespace t2
