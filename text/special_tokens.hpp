#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/result.hpp"

namespace t2 {

/// What a model folder's tokenizer_config.json and special_tokens_map.json call
/// its special tokens. Where both name one, the config counts if it has an
/// added_tokens_decoder, else the map (as in transformers).
struct special_tokens {
  /// Name and spelling, such as bos_token and <s>.
  std::map<std::string, std::string> spelled;
  /// Names of which the tokenizer says that it has none: bos_token, where it is
  /// null and add_bos_token is false.
  std::vector<std::string> without;
  /// Ids by spelling, of added_tokens_decoder. Not checked.
  std::map<std::string, std::int64_t> added;
  /// add_bos_token and add_eos_token: whether a text gets them.
  std::optional<bool> adds_bos;
  std::optional<bool> adds_eos;

  /// A file that is not there says nothing; one that is no JSON is ec::corrupt.
  static result<special_tokens> load(const std::filesystem::path& folder);

  /// Null where no file names one.
  const std::string* find(const std::string& name) const;
  bool is_without(std::string_view name) const;
};

}  // namespace t2
