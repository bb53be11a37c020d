#include "model/lora_adapter.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <system_error>

#include "config/durable_file.hpp"
#include "model/json_file.hpp"
#include "model/safetensors.hpp"

namespace t2 {
namespace {

using nlohmann::json;

std::string key_of(const projection& p, const char* which) {
  const auto stem = p.weight.substr(0, p.weight.rfind('.'));
  return "base_model.model." + stem + "." + which + ".weight";
}

// What PEFT can say that is not plain LoRA: false, null, 0 and empty are not.
constexpr const char* unsupported[] = {
    "use_dora",         "use_rslora",          "fan_in_fan_out",
    "rank_pattern",     "alpha_pattern",       "modules_to_save",
    "layer_replication", "layers_to_transform", "lora_bias",
    "target_parameters", "trainable_token_indices", "exclude_modules",
    "megatron_config",   "alora_invocation_tokens", "use_qalora",
    "arrow_config", "use_bdlora"};

bool says_something(const json& value) {
  return !(value.is_null() || value == json(false) || value == json(0) ||
           ((value.is_object() || value.is_array()) && value.empty()));
}

result<lora_shape> read_shape(const json& config, const std::string& where) {
  const auto wrong = [&](ec code, const std::string& what) {
    return error{code, where + ": " + what};
  };
  if (config.value("peft_type", json()) != "LORA")
    return wrong(ec::incompatible, "peft_type: expected LORA, found " +
                                       config.value("peft_type", json()).dump());
  for (const char* key : unsupported)
    if (config.contains(key) && says_something(config[key]))
      return wrong(ec::incompatible, std::string{key} +
                                         ": expected plain LoRA, found " +
                                         config[key].dump());
  if (config.contains("bias") && config["bias"] != "none")
    return wrong(ec::incompatible,
                 "bias: expected \"none\", found " + config["bias"].dump());
  const auto rank = config.value("r", json());
  const auto alpha = config.value("lora_alpha", json());
  if (!rank.is_number_integer() || rank.get<std::int64_t>() < 1 ||
      rank.get<std::int64_t>() > 65536 || !alpha.is_number())
    return wrong(ec::corrupt, "expected numbers r and lora_alpha, found " +
                                  rank.dump() + " and " + alpha.dump());
  const auto targets = config.value("target_modules", json());
  std::string names;
  if (!targets.is_array() || targets.empty())
    return wrong(ec::incompatible,
                 "target_modules: expected a list of projections, found " +
                     targets.dump());
  for (const auto& target : targets)
    names += (names.empty() ? "" : ",") +
             (target.is_string() ? target.get<std::string>() : target.dump());
  const auto kinds = parse_lora_targets(names);
  if (!kinds) return wrong(ec::incompatible, kinds.error().message);
  return lora_shape{rank.get<std::int64_t>(), alpha.get<double>(), *kinds};
}

}  // namespace

result<void> write_lora_adapter(const std::filesystem::path& folder,
                                const lora_layout& layout,
                                const at::Tensor& values,
                                const std::string& base_name,
                                const std::string& provenance) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed)
    return error{ec::io, folder.string() + ": " + failed.message()};
  std::map<std::string, at::Tensor> tensors;
  for (const auto& place : layout.places()) {
    tensors[key_of(place.where, "lora_A")] = layout.a_rn(values, place);
    tensors[key_of(place.where, "lora_B")] = layout.b_mr(values, place);
  }
  if (auto written =
          write_safetensors(folder / "adapter_model.safetensors", tensors,
                            {{"format", "pt"}, {"provenance", provenance}});
      !written)
    return written;
  const auto& shape = layout.shape();
  json targets = json::array();
  for (const auto kind : shape.kinds) targets.push_back(to_string(kind));
  const json config{{"peft_type", "LORA"},
                    {"task_type", "CAUSAL_LM"},
                    {"base_model_name_or_path", base_name},
                    {"inference_mode", true},
                    {"r", shape.rank},
                    {"lora_alpha", shape.alpha},
                    {"lora_dropout", 0.0},
                    {"bias", "none"},
                    {"fan_in_fan_out", false},
                    {"use_dora", false},
                    {"use_rslora", false},
                    {"init_lora_weights", true},
                    {"target_modules", targets}};
  return write_file_durably(
      folder / "adapter_config.json",
      std::string_view{config.dump(2, ' ', false,
                                   json::error_handler_t::replace)});
}

result<lora_adapter> read_lora_adapter(const std::filesystem::path& folder,
                                       const model_config& config) {
  const auto config_file = folder / "adapter_config.json";
  const auto said = read_json_file(config_file, 1 << 20);
  if (!said) return said.error();
  const auto shape = read_shape(*said, config_file.string());
  if (!shape) return shape.error();
  if (const auto has = check_lora_targets(config, *shape); !has)
    return error{ec::incompatible,
                 config_file.string() + ": " + has.error().message};
  lora_adapter out;
  out.layout = std::make_shared<lora_layout>(config, *shape);
  out.values = at::zeros({out.layout->total()}, at::kFloat);
  const auto file =
      safetensors_file::open(folder / "adapter_model.safetensors");
  if (!file) return file.error();
  const auto corrupt = [&](const std::string& what) {
    return error{ec::corrupt,
                 (folder / "adapter_model.safetensors").string() + ": " + what};
  };
  for (const auto& place : out.layout->places()) {
    for (const bool is_a : {true, false}) {
      const auto key = key_of(place.where, is_a ? "lora_A" : "lora_B");
      const auto tensor = file->tensor(key);
      if (!tensor) return corrupt(key + ": expected this tensor, found none");
      auto into = is_a ? out.layout->a_rn(out.values, place)
                       : out.layout->b_mr(out.values, place);
      if (tensor->sizes() != into.sizes() || !tensor->is_floating_point())
        return corrupt(key + ": expected " + shape_text(into.sizes()) +
                       ", found " + shape_text(tensor->sizes()));
      into.copy_(*tensor);
    }
  }
  if (file->tensors().size() != 2 * out.layout->places().size())
    return corrupt("expected " +
                   std::to_string(2 * out.layout->places().size()) +
                   " tensors, found " +
                   std::to_string(file->tensors().size()));
  if (!at::isfinite(out.values).all().item<bool>())
    return corrupt("expected finite values, found another");
  return out;
}

}  // namespace t2
