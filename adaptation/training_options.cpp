#include "adaptation/training_options.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

namespace t2 {
namespace {

result<void> between(const char* field, double value, double low,
                     double high) {
  if (std::isfinite(value) && value >= low && value <= high) return {};
  return error{ec::invalid_argument,
               std::string{field} + ": expected " +
                   nlohmann::json(low).dump() + " to " +
                   nlohmann::json(high).dump() + ", found " +
                   nlohmann::json(value).dump()};
}

}  // namespace

result<training_options> check(const training_spec& spec) {
  training_options out;
  const auto targets = parse_svf_targets(spec.targets);
  if (!targets) return targets.error();
  out.targets = *targets;
  const auto norm = parse_svf_norm(spec.norm);
  if (!norm) return norm.error();
  out.norm = *norm;
  const auto parametrisation = parse_svf_parametrisation(spec.parametrisation);
  if (!parametrisation) return parametrisation.error();
  out.parametrisation = *parametrisation;
  const auto count = [](std::int64_t x) { return static_cast<double>(x); };
  const result<void> checks[] = {
      between("steps", count(spec.steps), 1, 1e7),
      between("batch", count(spec.batch), 1, 65536),
      between("learning_rate", spec.learning_rate, 0, 100),
      between("weight_decay", spec.weight_decay, 0, 100),
      between("clip", spec.clip, 0, 1e9),
      between("warmup", spec.warmup, 0, 1),
      between("validation", spec.validation, 0, 0.9),
      between("validate_every", count(spec.validate_every), 1, 1e7),
      between("max_tokens", count(spec.max_tokens), 2, 1e6),
      between("checkpoint_every", count(spec.checkpoint_every), 1, 1e7),
  };
  for (const auto& one : checks)
    if (!one) return one.error();
  return out;
}

std::string canonical_json(const training_spec& spec) {
  return nlohmann::json{{"objective", spec.objective},
                        {"format", spec.format},
                        {"targets", spec.targets},
                        {"norm", spec.norm},
                        {"parametrisation", spec.parametrisation},
                        {"steps", spec.steps},
                        {"batch", spec.batch},
                        {"learning_rate", spec.learning_rate},
                        {"weight_decay", spec.weight_decay},
                        {"clip", spec.clip},
                        {"warmup", spec.warmup},
                        {"validation", spec.validation},
                        {"validate_every", spec.validate_every},
                        {"max_tokens", spec.max_tokens},
                        {"seed", spec.seed}}
      .dump();
}

}  // namespace t2
