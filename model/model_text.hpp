#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "config/result.hpp"
#include "text/chat_template.hpp"
#include "text/special_tokens.hpp"
#include "text/tokenizer.hpp"

namespace t2 {

/// How a model's words become tokens.
struct model_text {
  std::shared_ptr<const tokenizer> words;
  special_tokens special;
  std::optional<chat_template> chat;
  std::string label;  // the file, in errors
};

/// Of a folder's files or a GGUF file's metadata; nothing where a folder has no
/// tokenizer.json, or the file no tokenizer.ggml.model.
result<std::optional<model_text>> load_model_text(
    const std::filesystem::path& model);

/// SHA-256 of what words become tokens by. Of a folder: tokenizer.json,
/// tokenizer_config.json and chat_template.jinja, those that are there. Of a GGUF
/// file: `tokenizer.ggml`, the tokenizer.json that its metadata mean, and
/// `tokenizer.chat_template`.
std::map<std::string, std::string> text_digests(
    const std::filesystem::path& model);
/// Where one of them is, for a line about it.
std::string text_place(const std::filesystem::path& model,
                       const std::string& name);

}  // namespace t2
