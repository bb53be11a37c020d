#include "adaptation/training_options.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

#include "adaptation/prompt_form.hpp"

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
  const auto advantage = parse_advantage(spec.advantage);
  if (!advantage) return advantage.error();
  out.advantage = *advantage;
  const auto direction = parse_kl_direction(spec.kl_direction);
  if (!direction) return direction.error();
  out.direction = *direction;
  if (spec.method == "lora") {
    const auto kinds = parse_lora_targets(spec.lora_targets);
    if (!kinds) return kinds.error();
    out.lora = lora_shape{spec.rank, spec.alpha, *kinds};
    if (spec.output.empty())
      return error{ec::invalid_argument,
                   "output: expected a folder for the LoRA adapter, which the "
                   "expert store does not keep, found none"};
  } else if (spec.method != "svf") {
    return error{ec::invalid_argument, "method: expected svf or lora, found '" +
                                           spec.method + "'"};
  }
  if (!spec.form.empty())
    if (const auto form = parse_prompt_form(spec.form); !form)
      return form.error();
  if (spec.classify && spec.objective != "reinforce")
    return error{ec::invalid_argument,
                 "classify: expected the objective reinforce, found '" +
                     spec.objective + "'"};
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
      between("patience", count(spec.patience), 0, 1e7),
      between("max_tokens", count(spec.max_tokens), 2, 1e6),
      between("max_answer_tokens", count(spec.max_answer_tokens), 1, 1e6),
      between("rank", count(spec.rank), 1, 4096),
      between("alpha", spec.alpha, 0, 1e6),
      between("samples", count(spec.samples), 1, 4096),
      between("temperature", spec.temperature, 0, 100),
      between("kl_weight", spec.kl_weight, 0, 1e6),
      between("checkpoint_every", count(spec.checkpoint_every), 1, 1e7),
  };
  for (const auto& one : checks)
    if (!one) return one.error();
  return out;
}

std::string canonical_json(const training_spec& spec, bool chat_prompts) {
  nlohmann::json out{{"method", spec.method},
                     {"objective", spec.objective},
                     {"format", spec.format},
                     {"steps", spec.steps},
                     {"batch", spec.batch},
                     {"learning_rate", spec.learning_rate},
                     {"weight_decay", spec.weight_decay},
                     {"clip", spec.clip},
                     {"warmup", spec.warmup},
                     {"validation", spec.validation},
                     {"validate_every", spec.validate_every},
                     {"patience", spec.patience},
                     {"max_tokens", spec.max_tokens},
                     {"seed", spec.seed}};
  if (spec.method == "lora") {
    out["rank"] = spec.rank;
    out["alpha"] = spec.alpha;
    out["lora_targets"] = spec.lora_targets;
  } else {
    out["targets"] = spec.targets;
    out["norm"] = spec.norm;
    out["parametrisation"] = spec.parametrisation;
  }
  if (spec.objective == "reinforce") {
    out["reward"] = spec.reward;
    out["max_answer_tokens"] = spec.max_answer_tokens;
    out["samples"] = spec.samples;
    out["temperature"] = spec.temperature;
    out["advantage"] = spec.advantage;
    out["kl_weight"] = spec.kl_weight;
    out["kl_direction"] = spec.kl_direction;
    if (spec.classify) out["labels"] = spec.labels;
  }
  // Raw is how trainings were before they had a form.
  if (chat_prompts) out["form"] = to_string(prompt_form::chat);
  return out.dump();
}

}  // namespace t2
