#include "model/model_text.hpp"

#include <string_view>
#include <utility>

#include "config/sha256.hpp"
#include "model/file_mapping.hpp"
#include "model/gguf_keys.hpp"
#include "model/gguf_model.hpp"
#include "model/gguf_tokenizer.hpp"

namespace t2 {
namespace {

constexpr std::string_view template_key = "tokenizer.chat_template";

result<std::optional<model_text>> load_of_folder(
    const std::filesystem::path& folder) {
  const auto file = folder / "tokenizer.json";
  if (!std::filesystem::exists(file)) return std::optional<model_text>{};
  auto words = tokenizer::load(folder);
  if (!words) return words.error();
  auto special = special_tokens::load(folder);
  if (!special) return special.error();
  auto chat = chat_template::load(folder);
  if (!chat) return chat.error();
  return std::optional{model_text{*std::move(words), *std::move(special),
                                  *std::move(chat), file.string()}};
}

result<std::optional<model_text>> load_of_gguf(
    const std::filesystem::path& file) {
  const auto model = gguf_model::open(file);
  if (!model) return model.error();
  gguf_keys keys{model->head()};
  if (!keys.has("tokenizer.ggml.model")) return std::optional<model_text>{};
  const auto json = gguf_tokenizer_json(*model);
  if (!json) return json.error();
  const auto fail = [&](const error& e) {
    return error{e.code, file.string() + ": " + e.message};
  };
  auto words = tokenizer::parse(*json);
  if (!words) return fail(words.error());
  model_text out{*std::move(words), gguf_special_tokens(*model), std::nullopt,
                 file.string()};
  if (const auto source = keys.text(template_key)) {
    auto chat = chat_template::parse(*source, out.special);
    if (!chat) return fail(chat.error());
    out.chat = *std::move(chat);
  }
  if (keys.failure()) return *keys.failure();
  return std::optional{std::move(out)};
}

}  // namespace

result<std::optional<model_text>> load_model_text(
    const std::filesystem::path& model) {
  return is_gguf(model) ? load_of_gguf(model) : load_of_folder(model);
}

std::string text_place(const std::filesystem::path& model,
                       const std::string& name) {
  return is_gguf(model) ? model.string() + ": " + name
                        : (model / name).string();
}

std::map<std::string, std::string> text_digests(
    const std::filesystem::path& model) {
  std::map<std::string, std::string> out;
  if (is_gguf(model)) {
    const auto file = gguf_model::open(model);
    if (!file) return out;
    if (const auto json = gguf_tokenizer_json(*file))
      out.emplace("tokenizer.ggml", sha256_hex(*json));
    gguf_keys keys{file->head()};
    if (const auto source = keys.text(template_key))
      out.emplace(template_key, sha256_hex(*source));
    return out;
  }
  for (const char* name :
       {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja"})
    if (const auto file = file_mapping::open(model / name))
      out.emplace(name, sha256_hex((*file)->bytes()));
  return out;
}

}  // namespace t2
