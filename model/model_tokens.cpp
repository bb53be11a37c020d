#include "model/model_tokens.hpp"

#include <algorithm>
#include <optional>

#include "config/logging.hpp"

namespace t2 {
namespace {

/// The id of a token that the tokenizer's files name; none with a warning where
/// they spell one that the model does not have.
std::optional<token_id> find_named(const model_config& config,
                                   const special_tokens& special,
                                   const tokenizer& text,
                                   const std::string& name,
                                   const std::string& folder) {
  const auto* spelling = special.find(name);
  if (!spelling || spelling->empty()) return std::nullopt;
  std::optional<std::int64_t> id = text.token_to_id(*spelling);
  if (const auto at = special.added.find(*spelling);
      !id && at != special.added.end())
    id = at->second;
  if (id && *id >= 0 && *id < config.vocabulary)
    return static_cast<token_id>(*id);
  log(log_level::warn,
      folder + ": " + name + ": '" + *spelling + "' is left out: " +
          (id ? "its id " + std::to_string(*id) + " is not below vocab_size = " +
                    std::to_string(config.vocabulary)
              : "the tokenizer has no such token"));
  return std::nullopt;
}

/// The token that the tokenizer itself writes before a text.
std::optional<token_id> opening(const tokenizer& text) {
  const auto with = text.encode("a", true);
  const auto without = text.encode("a", false);
  if (!with || !without || with->size() <= without->size() ||
      with->front() == without->front())
    return std::nullopt;
  return with->front();
}

}  // namespace

void join_special_tokens(model_config& config, const special_tokens& special,
                         const tokenizer& text, const std::string& folder) {
  if (const auto end = find_named(config, special, text, "eos_token", folder))
    if (std::ranges::find(config.eos_tokens, *end) == config.eos_tokens.end())
      config.eos_tokens.push_back(*end);
  if (const auto first = opening(text))
    config.bos_token = *first;
  else if (!config.bos_token)
    config.bos_token = find_named(config, special, text, "bos_token", folder);
}

result<void> check_vocabulary(const model_config& config, const tokenizer& text,
                              const std::string& file) {
  std::string beyond;
  for (auto id = config.vocabulary; id < text.vocab_size(); ++id) {
    const auto token = static_cast<token_id>(id);
    const auto spelling = text.token_bytes(token);
    if (!spelling || (!spelling->empty() && !text.is_special(token)))
      return error{ec::incompatible,
                   file + ": expected at most " +
                       std::to_string(config.vocabulary) +
                       " tokens (config.json's vocab_size), found " +
                       std::to_string(text.vocab_size())};
    beyond += " " + *spelling;
  }
  if (!beyond.empty())
    log(log_level::warn, file + ": not of the model's vocabulary:" + beyond);
  return {};
}

}  // namespace t2
