#include "model/gguf_config.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numbers>
#include <optional>
#include <string>
#include <utility>

#include "config/logging.hpp"
#include "model/architecture.hpp"
#include "model/gguf_family.hpp"
#include "model/gguf_keys.hpp"
#include "model/gguf_model.hpp"
#include "model/gguf_tokenizer.hpp"

namespace t2 {
namespace {

using nlohmann::json;

/// Keys behind "ARCHITECTURE." that mean what one of config.json means. A family
/// that calls it otherwise than Llama finds it under that name too.
struct same_key {
  std::string_view gguf, config, other = {};
};
constexpr std::array same_keys{
    same_key{"context_length", "max_position_embeddings", "n_positions"},
    same_key{"embedding_length", "hidden_size", "n_embd"},
    same_key{"feed_forward_length", "intermediate_size", "n_inner"},
    same_key{"block_count", "num_hidden_layers", "n_layer"},
    same_key{"attention.head_count", "num_attention_heads", "n_head"},
    same_key{"attention.head_count_kv", "num_key_value_heads"},
    same_key{"attention.key_length", "head_dim"},
    same_key{"attention.layer_norm_rms_epsilon", "rms_norm_eps"},
    same_key{"attention.layer_norm_epsilon", "layer_norm_epsilon"},
    same_key{"attention.causal", "is_causal"},
    same_key{"attention.clamp_kqv", "clip_qkv"},
    same_key{"rope.freq_base", "rope_theta"},
    same_key{"rope.freq_base_swa", "rope_local_base_freq"},
    same_key{"expert_count", "num_experts"},
    same_key{"expert_used_count", "num_experts_per_tok"},
    same_key{"logit_scale", "logit_scale"},
    same_key{"residual_scale", "residual_multiplier"},
    same_key{"embedding_scale", "embedding_multiplier"},
    same_key{"attn_logit_softcapping", "attn_logit_softcapping"},
    same_key{"final_logit_softcapping", "final_logit_softcapping"},
};

/// Keys that are read below, or that change nothing.
constexpr std::array<std::string_view, 17> other_keys{
    "attention.scale",
    "attention.sliding_window",
    "attention.sliding_window_pattern",
    "attention.value_length",
    "rope.dimension_count",
    "rope.scale_linear",
    "rope.scaling.type",
    "rope.scaling.factor",
    "rope.scaling.attn_factor",
    "rope.scaling.original_context_length",
    "rope.scaling.orig_ctx_len",
    "rope.scaling.finetuned",
    "rope.scaling.yarn_log_multiplier",
    "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_beta_slow",
    "tensor_data_layout",
    "vocab_size",
};

const same_key* find_same(std::string_view key) {
  const auto at = std::ranges::find(same_keys, key, &same_key::gguf);
  return at == same_keys.end() ? nullptr : &*at;
}

std::string known_keys() {
  std::string names;
  for (const auto& key : same_keys)
    names += (names.empty() ? "" : ", ") + std::string{key.gguf};
  for (const auto key : other_keys) names += ", " + std::string{key};
  return names;
}

json json_of(const gguf_value& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag;
  if (const auto* number = std::get_if<std::int64_t>(&value)) return *number;
  if (const auto* number = std::get_if<std::uint64_t>(&value)) return *number;
  if (const auto* number = std::get_if<double>(&value)) return *number;
  if (const auto* text = std::get_if<std::string_view>(&value))
    return printable_text(*text);
  // A list is a number for each layer: no reader takes it for one number.
  return std::get<gguf_array>(value).integers();
}

/// Where the factors of rope_freqs.weight come from: Llama 3's scaling with the
/// settings that all of Llama's models have, but for the original context.
std::optional<llama3_rope_scaling> llama3_of(const std::vector<float>& factors,
                                             double theta) {
  llama3_rope_scaling found{.factor = std::round(factors.back()),
                            .low_frequency_factor = 1,
                            .high_frequency_factor = 4};
  constexpr std::int64_t least = 1 << 4, most = 1 << 24;
  const auto size = static_cast<double>(factors.size());
  for (auto context = least; context <= most; context *= 2) {
    found.original_max_positions = context;
    bool all = found.factor >= 1;
    for (std::size_t i = 0; all && i < factors.size(); ++i) {
      const double wavelength =
          2 * std::numbers::pi * std::pow(theta, static_cast<double>(i) / size);
      const double turns = static_cast<double>(context) / wavelength;
      const double smooth = std::clamp((turns - 1) / (4 - 1), 0.0, 1.0);
      const double factor = 1 / ((1 - smooth) / found.factor + smooth);
      all = std::abs(factors[i] / factor - 1) < 1e-4;
    }
    if (all) return found;
  }
  return std::nullopt;
}

/// blk.12.attn_q → blk.{}.attn_q
std::string pattern_of(std::string_view stem, std::optional<std::int64_t>& layer) {
  constexpr std::string_view before = "blk.";
  if (!stem.starts_with(before)) return std::string{stem};
  const auto end = stem.find('.', before.size());
  if (end == std::string_view::npos) return std::string{stem};
  const auto number = stem.substr(before.size(), end - before.size());
  const bool digits = !number.empty() && number.size() < 6 &&
                      std::ranges::all_of(number, [](unsigned char c) {
                        return std::isdigit(c) != 0;
                      });
  if (!digits) return std::string{stem};
  layer = std::stoll(std::string{number});
  return "blk.{}" + std::string{stem.substr(end)};
}

class config_maker {
 public:
  config_maker(const gguf_model& model, const gguf_family& family)
      : model_(model),
        family_(family),
        keys_(model.head()),
        prefix_(std::string{family.architecture} + ".") {}

  result<model_config> make() {
    read_keys();
    read_heads();
    read_rope();
    read_windows();
    read_tensors();
    if (keys_.failure()) return *keys_.failure();
    config_reader reader{json_, model_.head().label()};
    for (const auto& key : same_keys) {
      reader.call(key.config, prefix_ + std::string{key.gguf});
      if (!key.other.empty())
        reader.call(key.other, prefix_ + std::string{key.gguf});
    }
    reader.call("attention_multiplier", prefix_ + "attention.scale");
    model_config config;
    config.model_type = family_.model_type;
    find_architecture(family_.model_type)->read(reader, config);
    if (reader.failure()) return *reader.failure();
    // Files of this kind have norms as they are multiplied.
    config.block.norm_plus_one = false;
    check_sizes(config);
    check_tensors(config);
    read_special_tokens(config);
    if (keys_.failure()) return *keys_.failure();
    return config;
  }

 private:
  std::string name(std::string_view key) const {
    return prefix_ + std::string{key};
  }
  bool has_tensor(std::string_view tensor) const {
    return model_.find(tensor) != nullptr;
  }

  void read_keys() {
    for (const auto& [key, value] : model_.head().metadata()) {
      if (!key.starts_with(prefix_)) continue;
      const auto rest = key.substr(prefix_.size());
      if (const auto* same = find_same(rest)) {
        json_[std::string{same->config}] = json_of(value);
        if (!same->other.empty())
          json_[std::string{same->other}] = json_of(value);
      } else if (std::ranges::find(other_keys, rest) == other_keys.end()) {
        keys_.refuse(ec::incompatible, key, "one of " + known_keys(),
                     "a key that t2 does not know");
      }
    }
    const bool rms = keys_.has(name("attention.layer_norm_rms_epsilon"));
    if (!rms && !keys_.has(name("attention.layer_norm_epsilon")))
      keys_.refuse(ec::corrupt, name("attention.layer_norm_rms_epsilon"),
                   "a number", "none");
  }

  /// What is not said is what llama.cpp takes it for, not what config.json's
  /// readers do.
  void read_heads() {
    if (!json_.contains("num_key_value_heads") &&
        json_.contains("num_attention_heads"))
      json_["num_key_value_heads"] = json_["num_attention_heads"];
    if (!json_.contains("head_dim")) json_["head_dim"] = nullptr;
    const auto scale = keys_.number(name("attention.scale")).value_or(0);
    if (family_.model_type != "gemma3_text") {
      if (scale != 0) json_["attention_multiplier"] = scale;
      return;
    }
    // The largest Gemma 3 divides by another size than its heads'; no key says.
    constexpr std::int64_t layers_of_27b = 62;
    const auto number = [&](const char* key) {
      const auto at = json_.find(key);
      return at != json_.end() && at->is_number_integer()
                 ? std::max<std::int64_t>(at->get<std::int64_t>(), 1)
                 : 1;
    };
    if (scale > 0)
      json_["query_pre_attn_scalar"] = 1 / (scale * scale);
    else if (json_["head_dim"].is_null() ||
             number("num_hidden_layers") == layers_of_27b)
      json_["query_pre_attn_scalar"] =
          number("hidden_size") / number("num_attention_heads");
    else
      json_["query_pre_attn_scalar"] = json_["head_dim"];
  }

  void read_rope() {
    if (!json_.contains("rope_theta")) json_["rope_theta"] = 10000.0;
    auto type = std::string{keys_.text(name("rope.scaling.type")).value_or("none")};
    auto factor = keys_.number(name("rope.scaling.factor")).value_or(0);
    if (!keys_.has(name("rope.scaling.type"))) {
      if (factor == 0)
        factor = keys_.number(name("rope.scale_linear")).value_or(0);
      if (factor != 0) type = "linear";
    }
    if (type != "none" && type != "linear") {
      keys_.refuse(ec::incompatible, name("rope.scaling.type"),
                   "none or linear", "'" + printable_text(type) + "'");
      return;
    }
    if (type == "linear" && factor != 0 && factor != 1)
      json_["rope_scaling"] = {{"rope_type", "linear"}, {"factor", factor}};
    read_frequencies();
  }

  void read_frequencies() {
    constexpr auto* weight = "rope_freqs.weight";
    const auto* tensor = model_.find(weight);
    if (!tensor) return;
    const auto refuse = [&](const std::string& expected,
                            const std::string& found) {
      keys_.refuse(ec::incompatible, "tensor '" + std::string{weight} + "'",
                   expected, found);
    };
    if (tensor->encoding != tensor_encoding::f32 || tensor->shape.size() != 1)
      return refuse("a list of F32",
                    std::string{traits(tensor->encoding).name} + " of " +
                        std::to_string(tensor->shape.size()) + " dimensions");
    std::vector<float> factors(static_cast<std::size_t>(tensor->shape[0]));
    std::memcpy(factors.data(), tensor->bytes.data(), tensor->bytes.size());
    if (std::ranges::all_of(factors, [](float f) { return f == 1; })) return;
    const auto& theta = json_["rope_theta"];
    const auto known = theta.is_number() && theta.get<double>() > 1
                           ? llama3_of(factors, theta.get<double>())
                           : std::nullopt;
    if (!known || json_.contains("rope_scaling"))
      return refuse("factors of Llama 3's scaling, and no other",
                    known ? "rope.scaling.type linear too" : "other factors");
    frequencies_ = tensor->shape[0];
    json_["rope_scaling"] = {
        {"rope_type", "llama3"},
        {"factor", known->factor},
        {"low_freq_factor", known->low_frequency_factor},
        {"high_freq_factor", known->high_frequency_factor},
        {"original_max_position_embeddings", known->original_max_positions}};
  }

  void read_windows() {
    constexpr std::int64_t most = std::int64_t{1} << 31;
    const auto window =
        keys_.integer(name("attention.sliding_window"), 0, most).value_or(0);
    const auto layers = json_.find("num_hidden_layers");
    if (window != 0) {
      json_["sliding_window"] = window;
    } else if (family_.model_type == "gemma3_text" && layers != json_.end() &&
               layers->is_number_integer()) {
      constexpr std::int64_t most_layers = 1 << 12;
      json_["layer_types"] = json::array();
      for (std::int64_t l = 0;
           l < std::min(layers->get<std::int64_t>(), most_layers); ++l)
        json_["layer_types"].push_back("full_attention");
      return;
    }
    const auto key = name("attention.sliding_window_pattern");
    const auto* pattern = keys_.value(key);
    if (!pattern) return;
    const auto* list = std::get_if<gguf_array>(pattern);
    if (!list) {
      json_["sliding_window_pattern"] = json_of(*pattern);
    } else if (list->type == gguf_type::boolean) {
      json_["layer_types"] = json::array();
      for (const auto windowed : list->bytes)
        json_["layer_types"].push_back(windowed == std::byte{0}
                                           ? "full_attention"
                                           : "sliding_attention");
    } else {
      keys_.refuse(ec::corrupt, key, "a whole number or a list of bools",
                   keys_.found(key));
    }
  }

  void read_tensors() {
    const auto* rows = model_.find("token_embd.weight");
    if (!rows || rows->shape.size() != 2) {
      keys_.refuse(rows ? ec::corrupt : ec::not_found,
                   "tensor 'token_embd.weight'", "two dimensions",
                   rows ? std::to_string(rows->shape.size()) : "none");
      return;
    }
    json_["vocab_size"] = rows->shape[0];
    json_["tie_word_embeddings"] = !has_tensor("output.weight");
    json_["attention_bias"] = has_tensor("blk.0.attn_q.bias") ||
                              has_tensor("blk.0.attn_qkv.bias");
    json_["mlp_bias"] = has_tensor("blk.0.ffn_up.bias");
  }

  void check_sizes(const model_config& config) {
    const auto same = [&](std::string_view key, std::int64_t wanted) {
      const auto full = name(key);
      const auto found = keys_.integer(full, 0, std::int64_t{1} << 31);
      if (found && *found != wanted)
        keys_.refuse(ec::incompatible, full, std::to_string(wanted),
                     std::to_string(*found));
    };
    same("attention.value_length", config.head_dim);
    if (!config.block.learned_positions)
      same("rope.dimension_count", config.rotated_dims());
    if (frequencies_ && *frequencies_ != config.rotated_dims() / 2)
      keys_.refuse(ec::corrupt, "tensor 'rope_freqs.weight'",
                   std::to_string(config.rotated_dims() / 2) + " factors",
                   std::to_string(*frequencies_));
  }

  /// A tensor that no weight is read from would change what is computed.
  void check_tensors(const model_config& config) {
    for (const auto& part : model_.parts())
      for (const auto& tensor : part.file.tensors())
        if (tensor.name != "rope_freqs.weight" &&
            !is_used(tensor.name, config)) {
          keys_.refuse(ec::incompatible,
                       "tensor '" + printable_text(tensor.name) + "'",
                       "only what " + std::string{family_.architecture} +
                           " of " + std::to_string(config.layers) +
                           " layers has",
                       "a tensor that t2 does not read");
          return;
        }
  }

  bool is_used(std::string_view tensor, const model_config& config) const {
    const auto dot = tensor.rfind('.');
    if (dot == std::string_view::npos) return false;
    std::optional<std::int64_t> layer;
    const auto pattern = pattern_of(tensor.substr(0, dot), layer);
    if (layer && *layer >= config.layers) return false;
    const auto rule =
        std::ranges::find(family_.names, pattern, &weight_name::stored);
    if (rule == family_.names.end()) return false;
    const auto kind = tensor.substr(dot);
    if (kind == ".weight") return true;
    if (kind != ".bias") return false;
    const auto& weight = rule->canonical;
    if (weight.ends_with("norm"))
      return config.block.norm == norm_kind::layer;
    if (weight.ends_with("o_proj")) return config.output_bias;
    if (weight.find("self_attn") != std::string_view::npos)
      return config.query_key_value_bias;
    return weight.find("mlp") != std::string_view::npos && config.mlp_bias;
  }

  void read_special_tokens(model_config& config) {
    const auto fits = [&](std::int64_t id) {
      if (id >= 0 && id < config.vocabulary) return true;
      log(log_level::warn, model_.head().label() + ": token " +
                               std::to_string(id) +
                               " is left out: not below the vocabulary's " +
                               std::to_string(config.vocabulary));
      return false;
    };
    const auto ids = read_gguf_special_ids(keys_);
    if (ids.beginning && fits(*ids.beginning))
      config.bos_token = static_cast<std::int32_t>(*ids.beginning);
    for (const auto id : ids.ends)
      if (fits(id)) config.eos_tokens.push_back(static_cast<std::int32_t>(id));
  }

  const gguf_model& model_;
  const gguf_family& family_;
  gguf_keys keys_;
  std::string prefix_;
  json json_ = json::object();
  std::optional<std::int64_t> frequencies_;  // factors in rope_freqs.weight
};

}  // namespace

result<model_config> read_gguf_config(const std::filesystem::path& path) {
  const auto model = gguf_model::open(path);
  if (!model) return model.error();
  const auto architecture = model->architecture();
  const auto* family = find_gguf_family(architecture);
  if (!family)
    return error{ec::incompatible,
                 path.string() + ": general.architecture: expected one of " +
                     known_gguf_architectures() + ", found " +
                     (architecture.empty()
                          ? "none"
                          : "'" + printable_text(architecture) + "'")};
  return config_maker{*model, *family}.make();
}

}  // namespace t2
