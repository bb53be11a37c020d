#include <cmath>
#include <nlohmann/json.hpp>

#include "pretraining/pretraining.hpp"

namespace t2 {
namespace {

using nlohmann::json;

error unexpected(const char* field, const std::string& expected,
                 const json& found) {
  return {ec::invalid_argument, std::string{field} + ": expected " + expected +
                                    ", found " + found.dump()};
}

result<void> between(const char* field, double value, double low,
                     double high) {
  if (std::isfinite(value) && value >= low && value <= high) return {};
  return unexpected(field, json(low).dump() + " to " + json(high).dump(),
                    value);
}

result<void> between(const char* field, std::int64_t value, std::int64_t low,
                     std::int64_t high) {
  if (value >= low && value <= high) return {};
  return unexpected(
      field, std::to_string(low) + " to " + std::to_string(high), value);
}

result<void> one_of(const char* field, const std::string& value,
                    std::initializer_list<const char*> choices) {
  std::string all;
  for (const char* choice : choices) {
    if (value == choice) return {};
    all += (all.empty() ? "" : ", ") + std::string{choice};
  }
  return unexpected(field, all, value);
}

}  // namespace

result<void> pretraining_spec::check() const {
  const result<void> checks[] = {
      between("vocabulary", vocabulary, 261, 1 << 16),
      between("hidden", hidden, 16, 4096),
      between("layers", layers, 1, 64),
      between("heads", heads, 1, 64),
      between("kv_heads", kv_heads, 1, heads),
      between("intermediate", intermediate, 16, 16384),
      between("max_length", max_length, 8, 4096),
      between("rope_theta", rope_theta, 1.0, 1e9),
      between("steps", steps, 1, 10'000'000),
      between("batch", batch, 16, 1 << 22),
      between("learning_rate", learning_rate, 0.0, 1.0),
      between("warmup", warmup, 0.0, 1.0),
      between("weight_decay", weight_decay, 0.0, 10.0),
      between("beta2", beta2, 0.5, 0.99999),
      between("clip", clip, 0.0, 1e9),
      between("validation", validation, 0.0, 0.5),
      between("validate_every", validate_every, 1, 10'000'000),
      between("checkpoint_every", checkpoint_every, 1, 10'000'000),
      between("log_every", log_every, 1, 10'000'000),
      between("threads", threads, 1, 256),
      one_of("loss", loss, {"answers", "all"}),
      one_of("longer", longer, {"refuse", "cut", "skip"}),
      one_of("compute", compute, {"auto", "float32", "bfloat16"}),
      one_of("dtype", dtype, {"float32", "bfloat16"}),
  };
  for (const auto& one : checks)
    if (!one) return one.error();
  if (hidden % 16 != 0)
    return unexpected("hidden", "a multiple of 16", hidden);
  if (intermediate % 16 != 0)
    return unexpected("intermediate", "a multiple of 16", intermediate);
  if (hidden % heads != 0 || hidden / heads % 2 != 0)
    return unexpected("heads",
                      "heads of an even size that divide hidden " +
                          std::to_string(hidden),
                      heads);
  if (heads % kv_heads != 0)
    return unexpected("kv_heads",
                      "a divisor of heads " + std::to_string(heads), kv_heads);
  if (out.empty())
    return error{ec::invalid_argument, "out: expected a folder, found none"};
  return {};
}

std::string pretraining_spec::canonical_json() const {
  return json{{"vocabulary", vocabulary},
              {"hidden", hidden},
              {"layers", layers},
              {"heads", heads},
              {"kv_heads", kv_heads},
              {"intermediate", intermediate},
              {"max_length", max_length},
              {"rope_theta", rope_theta},
              {"loss", loss},
              {"longer", longer},
              {"steps", steps},
              {"batch", batch},
              {"learning_rate", learning_rate},
              {"warmup", warmup},
              {"weight_decay", weight_decay},
              {"beta2", beta2},
              {"clip", clip},
              {"validation", validation},
              {"validate_every", validate_every},
              {"seed", seed},
              {"threads", threads},
              {"compute", compute},
              {"dtype", dtype}}
      .dump();
}

}  // namespace t2
