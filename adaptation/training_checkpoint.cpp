#include "adaptation/training_checkpoint.hpp"

#include <nlohmann/json.hpp>

#include "config/jsonl.hpp"
#include "config/sha256.hpp"
#include "model/safetensors.hpp"

namespace t2 {
namespace {

using nlohmann::json;

constexpr const char* format_name = "t2-training-2";

std::string digest(std::initializer_list<const at::Tensor*> tensors,
                   const std::string& state) {
  sha256 hash;
  for (const at::Tensor* t : tensors) {
    const at::Tensor flat = t->contiguous();
    hash.update(std::span{
        static_cast<const std::byte*>(flat.const_data_ptr()),
        static_cast<std::size_t>(flat.nbytes())});
  }
  hash.update(state);
  return hash.hex();
}

json form_of(const validation_score& score) {
  return {score.reward, score.loss};
}

validation_score score_at(const json& state, const char* key) {
  const json& pair = state.at(key);
  return {pair.at(0).get<double>(), pair.at(1).get<double>()};
}

}  // namespace

result<void> write_training_checkpoint(const std::filesystem::path& path,
                                       const training_checkpoint& c) {
  const std::string state = json{{"step", c.step},
                                 {"optimiser_steps", c.optimiser.steps},
                                 {"best_step", c.best_step},
                                 {"best", form_of(c.best_score)},
                                 {"base", form_of(c.base)},
                                 {"last", form_of(c.last)},
                                 {"last_loss", c.last_loss},
                                 {"base_report", c.base_report},
                                 {"best_report", c.best_report}}
                                .dump();
  const adamw_state& o = c.optimiser;
  return write_safetensors(
      path,
      {{"parameter", o.parameter},
       {"first_moment", o.first_moment},
       {"second_moment", o.second_moment},
       {"best", c.best}},
      {{"format", format_name},
       {"identity", c.identity},
       {"state", state},
       {"sha256", digest({&o.parameter, &o.first_moment, &o.second_moment,
                          &c.best},
                         state)}});
}

result<std::optional<training_checkpoint>> read_training_checkpoint(
    const std::filesystem::path& path, const std::string& identity,
    std::int64_t size) {
  const auto file = safetensors_file::open(path);
  if (!file) {
    if (file.error().code == ec::not_found)
      return std::optional<training_checkpoint>{};
    return file.error();
  }
  const auto corrupt = [&](const std::string& what) {
    return error{ec::corrupt, path.string() + ": " + what};
  };
  const auto get = [&](const char* key) {
    const auto found = file->metadata().find(key);
    return found == file->metadata().end() ? std::string{} : found->second;
  };
  if (get("format") != format_name)
    return corrupt(std::string{"metadata format: expected "} + format_name +
                   ", found '" + get("format") + "'");
  if (get("identity") != identity)
    return error{ec::incompatible,
                 path.string() +
                     ": expected the checkpoint of this base, data and spec (" +
                     identity + "), found another run's (" + get("identity") +
                     ")"};
  training_checkpoint c;
  c.identity = identity;
  const struct {
    const char* name;
    at::Tensor* into;
  } parts[] = {{"parameter", &c.optimiser.parameter},
               {"first_moment", &c.optimiser.first_moment},
               {"second_moment", &c.optimiser.second_moment},
               {"best", &c.best}};
  for (const auto& part : parts) {
    const auto tensor = file->tensor(part.name);
    if (!tensor) return tensor.error();
    if (tensor->scalar_type() != at::kFloat || tensor->dim() != 1 ||
        tensor->numel() != size)
      return corrupt(std::string{part.name} + ": expected F32 [" +
                     std::to_string(size) + "]");
    *part.into = tensor->clone();  // the file may be replaced
  }
  if (get("sha256") != digest({&c.optimiser.parameter,
                               &c.optimiser.first_moment,
                               &c.optimiser.second_moment, &c.best},
                              get("state")))
    return corrupt("expected the bytes of its checksum");
  const auto state = parse_json(get("state"));
  if (!state || !state->is_object()) return corrupt("state: expected JSON");
  try {
    c.step = state->at("step").get<std::int64_t>();
    c.optimiser.steps = state->at("optimiser_steps").get<std::int64_t>();
    c.best_step = state->at("best_step").get<std::int64_t>();
    c.best_score = score_at(*state, "best");
    c.base = score_at(*state, "base");
    c.last = score_at(*state, "last");
    c.last_loss = state->at("last_loss").get<double>();
    // Not in checkpoints of before there were any.
    c.base_report = state->value("base_report", "");
    c.best_report = state->value("best_report", "");
  } catch (const json::exception& e) {
    return corrupt(std::string{"state: "} + e.what());
  }
  return std::optional{std::move(c)};
}

}  // namespace t2
