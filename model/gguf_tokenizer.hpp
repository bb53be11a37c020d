#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/result.hpp"
#include "model/gguf_keys.hpp"
#include "model/gguf_model.hpp"
#include "text/special_tokens.hpp"

namespace t2 {

/// The text of the tokenizer.json that means what tokenizer.ggml.* mean:
/// byte-level BPE (`gpt2`, its splits by tokenizer.ggml.pre) or SentencePiece's
/// BPE (`llama`, merges in the order of the pieces' scores). Other models and
/// splits are ec::incompatible, by name.
result<std::string> gguf_tokenizer_json(const gguf_model& model);

/// Ids as the file has them, not compared with its vocabulary.
struct gguf_special_ids {
  std::optional<std::int64_t> beginning;
  /// The end of a text first, then those of a turn: by their keys, or by their
  /// spelling, as files of chat models often name but one.
  std::vector<std::int64_t> ends;
};
/// What is wrong is kept by `keys`, which are the file's.
gguf_special_ids read_gguf_special_ids(gguf_keys& keys);

/// bos_token, eos_token, unk_token and pad_token, spelled for templates.
special_tokens gguf_special_tokens(const gguf_model& model);

}  // namespace t2
