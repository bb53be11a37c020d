#include "pretraining/pretraining_checkpoint.hpp"

#include <nlohmann/json.hpp>

#include "config/jsonl.hpp"
#include "config/sha256.hpp"
#include "model/safetensors.hpp"

namespace t2 {
namespace {

using nlohmann::json;

constexpr const char* format_name = "t2-pretraining-1";

std::string digest(const pretraining_checkpoint& c, const std::string& state) {
  sha256 hash;
  for (const auto* t : {&c.parameter, &c.first_moment, &c.second_moment})
    hash.update(std::span{static_cast<const std::byte*>(t->const_data_ptr()),
                          static_cast<std::size_t>(t->nbytes())});
  hash.update(state);
  return hash.hex();
}

}  // namespace

result<void> write_pretraining_checkpoint(const std::filesystem::path& path,
                                          const pretraining_checkpoint& c) {
  const std::string state = json{{"step", c.step},
                                 {"epoch", c.epoch},
                                 {"next", c.next},
                                 {"log_bytes", c.log_bytes},
                                 {"loss", c.loss},
                                 {"validation_loss", c.validation_loss},
                                 {"validated", c.validated},
                                 {"seconds", c.seconds}}
                                .dump();
  return write_safetensors(path,
                           {{"parameter", c.parameter},
                            {"first_moment", c.first_moment},
                            {"second_moment", c.second_moment}},
                           {{"format", format_name},
                            {"identity", c.identity},
                            {"state", state},
                            {"sha256", digest(c, state)}});
}

result<std::optional<pretraining_checkpoint>> read_pretraining_checkpoint(
    const std::filesystem::path& path, const std::string& identity,
    std::int64_t size) {
  const auto file = safetensors_file::open(path);
  if (!file) {
    if (file.error().code == ec::not_found)
      return std::optional<pretraining_checkpoint>{};
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
                     ": expected the checkpoint of this corpus and these "
                     "options, found another run's; remove it to start anew"};
  pretraining_checkpoint c;
  c.identity = identity;
  const struct {
    const char* name;
    at::Tensor* into;
  } parts[] = {{"parameter", &c.parameter},
               {"first_moment", &c.first_moment},
               {"second_moment", &c.second_moment}};
  for (const auto& part : parts) {
    const auto tensor = file->tensor(part.name);
    if (!tensor) return tensor.error();
    if (tensor->scalar_type() != at::kFloat || tensor->dim() != 1 ||
        tensor->numel() != size)
      return corrupt(std::string{part.name} + ": expected F32 [" +
                     std::to_string(size) + "]");
    *part.into = tensor->clone();  // the file will be replaced
  }
  if (get("sha256") != digest(c, get("state")))
    return corrupt("expected the bytes of its checksum");
  const auto state = parse_json(get("state"));
  if (!state || !state->is_object()) return corrupt("state: expected JSON");
  try {
    c.step = state->at("step").get<std::int64_t>();
    c.epoch = state->at("epoch").get<std::int64_t>();
    c.next = state->at("next").get<std::int64_t>();
    c.log_bytes = state->at("log_bytes").get<std::int64_t>();
    c.loss = state->at("loss").get<double>();
    c.validation_loss = state->at("validation_loss").get<double>();
    c.validated = state->at("validated").get<bool>();
    c.seconds = state->at("seconds").get<double>();
  } catch (const json::exception& e) {
    return corrupt(std::string{"state: "} + e.what());
  }
  return std::optional{std::move(c)};
}

}  // namespace t2
