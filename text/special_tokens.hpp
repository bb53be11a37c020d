#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "config/result.hpp"

namespace t2 {

/// What the files of a model's folder call its special tokens.
///
/// tokenizer_config.json and special_tokens_map.json spell them; where both
/// name one, the config counts if it has an added_tokens_decoder, else the map
/// (as in transformers). One that neither spells is the token whose id
/// config.json or generation_config.json names, as tokenizer.json spells it;
/// but a bos_token that is null beside an add_bos_token that is false is none.
struct special_tokens {
  /// Name and spelling, such as bos_token and <s>.
  std::map<std::string, std::string> spelled;
  /// Ids by spelling, of added_tokens_decoder. Not checked.
  std::map<std::string, std::int64_t> added;

  /// A file that is not there says nothing; one that is no JSON is ec::corrupt.
  static result<special_tokens> load(const std::filesystem::path& folder);

  /// Null where no file names one.
  const std::string* find(const std::string& name) const;
};

}  // namespace t2
