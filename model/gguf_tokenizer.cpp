#include "model/gguf_tokenizer.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>

namespace t2 {
namespace {

using nlohmann::json;

constexpr std::string_view low_line = "\xe2\x96\x81";  // SentencePiece's space

/// tokenizer.ggml.token_type
enum piece_type : std::int64_t {
  normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6
};

constexpr std::int64_t most_tokens = std::int64_t{1} << 31;

std::string key(std::string_view name) {
  return "tokenizer.ggml." + std::string{name};
}

// ---- Splits of byte-level BPE

constexpr auto* split_gpt2 =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|"
    "\\s+(?!\\S)|\\s+";
constexpr auto* split_llama3 =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|"
    " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
constexpr auto* split_qwen2 =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|"
    " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

struct split {
  std::vector<const char*> patterns;  // one after the other
  bool whole_words = false;  // a word of the vocabulary is not merged
  bool begins = false;       // texts get a BOS where no key says
  bool composed = false;     // Unicode's NFC first
};

/// By tokenizer.ggml.pre, as llama.cpp splits.
const std::vector<std::pair<std::string_view, split>>& splits() {
  static const split gpt2{.patterns = {split_gpt2}},
      digits{.patterns = {"\\p{N}", split_gpt2}},
      llama3{.patterns = {split_llama3}, .whole_words = true, .begins = true},
      merging_llama3{.patterns = {split_llama3}},
      qwen2{.patterns = {split_qwen2}, .composed = true},
      falcon{.patterns = {"[\\p{P}\\$\\+<=>\\^~\\|`]+", split_gpt2,
                          "[0-9][0-9][0-9]"}},
      usual{.patterns = {"[\\p{P}\\$\\+<=>\\^~\\|]+", split_gpt2, "\\p{N}+",
                         "[0-9][0-9][0-9]"}};
  static const std::vector<std::pair<std::string_view, split>> all{
      {"default", usual},          {"gpt-2", gpt2},
      {"phi-2", gpt2},             {"mpt", gpt2},
      {"olmo", gpt2},              {"smollm", digits},
      {"starcoder", digits},       {"refact", digits},
      {"command-r", digits},       {"codeshell", digits},
      {"llama-bpe", llama3},       {"llama3", llama3},
      {"llama-v3", llama3},        {"falcon3", llama3},
      {"pixtral", llama3},         {"dbrx", merging_llama3},
      {"smaug-bpe", merging_llama3}, {"qwen2", qwen2},
      {"deepseek-r1-qwen", qwen2}, {"stablelm2", qwen2},
      {"falcon", falcon},
  };
  return all;
}

const split* find_split(std::string_view pre) {
  for (const auto& [name, made] : splits())
    if (name == pre) return &made;
  return nullptr;
}

std::string known_splits() {
  std::string names;
  for (const auto& [name, made] : splits())
    names += (names.empty() ? "" : ", ") + std::string{name};
  return names;
}

// ---- Vocabularies

/// Every token's spelling and type, checked against each other.
struct vocabulary {
  std::vector<std::string> tokens;
  std::vector<std::int64_t> types;
};

std::string replaced(std::string text, std::string_view from,
                     std::string_view to) {
  for (auto at = text.find(from); at != std::string::npos;
       at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
  return text;
}

vocabulary read_vocabulary(gguf_keys& keys) {
  vocabulary out;
  const auto tokens = keys.texts(key("tokens"));
  if (tokens.empty())
    keys.refuse(ec::corrupt, key("tokens"), "at least one token", "none");
  out.tokens.assign(tokens.begin(), tokens.end());
  out.types = keys.integers(key("token_type"));
  if (!keys.has(key("token_type"))) out.types.assign(tokens.size(), normal);
  if (out.types.size() != tokens.size())
    keys.refuse(ec::corrupt, key("token_type"),
                std::to_string(tokens.size()) + " entries, one for each token",
                std::to_string(out.types.size()));
  return out;
}

json vocabulary_json(const vocabulary& v, gguf_keys& keys) {
  json out = json::object();
  for (std::size_t id = 0; id < v.tokens.size(); ++id)
    if (!out.emplace(v.tokens[id], id).second)
      keys.refuse(ec::corrupt, key("tokens"), "every token once",
                  "'" + printable_text(v.tokens[id]) + "' as number " +
                      out[v.tokens[id]].dump() + " and " + std::to_string(id));
  return out;
}

/// Tokens that are looked for in a text as they stand.
json added_tokens(const vocabulary& v, bool eats_space_behind) {
  json out = json::array();
  for (std::size_t id = 0; id < v.tokens.size(); ++id) {
    const auto type = v.types[id];
    if (type != control && type != user_defined && type != unknown) continue;
    const auto& text = v.tokens[id];
    if (text.empty()) continue;
    const bool plain =
        text == "<s>" || text == "<unk>" || text == "<|endoftext|>";
    out.push_back({{"id", id},
                   {"content", text},
                   {"single_word", false},
                   {"lstrip", false},
                   {"rstrip", eats_space_behind && !plain},
                   {"normalized", false},
                   {"special", type != user_defined}});
  }
  return out;
}

std::optional<std::int64_t> id_of(gguf_keys& keys, const char* name) {
  return keys.integer(key(name), -1, most_tokens);
}

/// The spelling of the token that `name` has the number of.
const std::string* spelling(const vocabulary& v, gguf_keys& keys,
                            const char* name) {
  const auto id = id_of(keys, name);
  if (!id || *id < 0 || *id >= static_cast<std::int64_t>(v.tokens.size()))
    return nullptr;
  return &v.tokens[static_cast<std::size_t>(*id)];
}

json named(const char* kind, const std::string& id, int type) {
  json out = json::object();
  out[kind] = {{"id", id}, {"type_id", type}};
  return out;
}

/// BOS before a text and EOS behind it, where the file asks for them.
json post_processor(const vocabulary& v, gguf_keys& keys, bool begins) {
  json single = json::array(), tokens = json::object();
  const auto add = [&](const char* name) {
    const auto* text = spelling(v, keys, name);
    if (!text) {
      keys.refuse(ec::corrupt, key(name), "the number of a token (texts get it)",
                  keys.found(key(name)));
      return;
    }
    single.push_back(named("SpecialToken", *text, 0));
    tokens[*text] = {{"id", *text},
                     {"ids", json::array({*id_of(keys, name)})},
                     {"tokens", json::array({*text})}};
  };
  const bool bos = keys.flag(key("add_bos_token")).value_or(begins);
  const bool eos = keys.flag(key("add_eos_token")).value_or(false);
  if (!bos && !eos) return nullptr;
  if (bos) add("bos_token_id");
  single.push_back(named("Sequence", "A", 0));
  if (eos) add("eos_token_id");
  json pair = json::array();
  pair.push_back(named("Sequence", "A", 0));
  pair.push_back(named("Sequence", "B", 1));
  return {{"type", "TemplateProcessing"},
          {"single", single},
          {"pair", pair},
          {"special_tokens", tokens}};
}

json typed(const char* type) {
  json out = json::object();
  out["type"] = type;
  return out;
}

json bpe(json vocab, json merges) {
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", nullptr},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", false},
          {"byte_fallback", false},
          {"ignore_merges", false},
          {"vocab", std::move(vocab)},
          {"merges", std::move(merges)}};
}

json byte_level(gguf_keys& keys) {
  const auto pre = keys.text(key("pre")).value_or("default");
  const auto* how = find_split(pre);
  if (!how) {
    keys.refuse(ec::incompatible, key("pre"), "one of " + known_splits(),
                "'" + printable_text(pre) + "'");
    return {};
  }
  const auto v = read_vocabulary(keys);
  json merges = json::array();
  for (const auto merge : keys.texts(key("merges"))) {
    const auto space = merge.find(' ', 1);
    if (space == std::string_view::npos) {
      keys.refuse(ec::corrupt, key("merges"), "two tokens with a space between",
                  "'" + printable_text(merge) + "'");
      return {};
    }
    merges.push_back(json::array({std::string{merge.substr(0, space)},
                                  std::string{merge.substr(space + 1)}}));
  }
  if (keys.failure()) return {};
  json parts = json::array();
  for (const auto* pattern : how->patterns)
    parts.push_back({{"type", "Split"},
                     {"pattern", {{"Regex", pattern}}},
                     {"behavior", "Isolated"},
                     {"invert", false}});
  const json bytes{{"type", "ByteLevel"},
                   {"add_prefix_space", false},
                   {"trim_offsets", true},
                   {"use_regex", false}};
  parts.push_back(bytes);
  auto made = bpe(vocabulary_json(v, keys), std::move(merges));
  made["ignore_merges"] = how->whole_words;
  return {{"version", "1.0"},
          {"added_tokens", added_tokens(v, false)},
          {"normalizer", how->composed ? typed("NFC") : json(nullptr)},
          {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", parts}}},
          {"post_processor", post_processor(v, keys, how->begins)},
          {"decoder", bytes},
          {"model", std::move(made)}};
}

bool begins_character(char c) {
  return (static_cast<unsigned char>(c) & 0xc0u) != 0x80u;
}

/// SentencePiece joins the neighbours whose piece has the highest score: every
/// way to cut a piece in two is a merge, those of high scores first, and among
/// equals as transformers' converter orders them.
json merges_of(const vocabulary& v, const std::vector<float>& scores) {
  std::unordered_map<std::string_view, std::size_t> ids;
  for (std::size_t id = 0; id < v.tokens.size(); ++id)
    if (v.types[id] == normal || v.types[id] == unused)
      ids.emplace(v.tokens[id], id);
  struct merge {
    float score;
    std::size_t left_size, right_size;  // characters
    std::string_view left, right;
  };
  std::vector<merge> merges;
  for (std::size_t id = 0; id < v.tokens.size(); ++id) {
    const std::string_view piece = v.tokens[id];
    if (!ids.contains(piece)) continue;
    const auto size =
        static_cast<std::size_t>(std::ranges::count_if(piece, begins_character));
    std::vector<std::tuple<std::size_t, std::size_t, merge>> cuts;
    std::size_t before = 0;
    for (std::size_t at = 1; at < piece.size(); ++at) {
      if (!begins_character(piece[at])) continue;
      ++before;
      const auto left = ids.find(piece.substr(0, at));
      if (left == ids.end()) continue;
      const auto right = ids.find(piece.substr(at));
      if (right == ids.end()) continue;
      cuts.emplace_back(left->second, right->second,
                        merge{scores[id], before, size - before, left->first,
                              right->first});
    }
    std::ranges::sort(cuts, [](const auto& a, const auto& b) {
      return std::tie(std::get<0>(a), std::get<1>(a)) <
             std::tie(std::get<0>(b), std::get<1>(b));
    });
    for (auto& cut : cuts) merges.push_back(std::get<2>(cut));
  }
  std::ranges::stable_sort(merges, [](const merge& a, const merge& b) {
    return std::tie(a.score, a.left_size, a.right_size) >
           std::tie(b.score, b.left_size, b.right_size);
  });
  json out = json::array();
  for (const auto& m : merges)
    out.push_back(json::array({std::string{m.left}, std::string{m.right}}));
  return out;
}

json sentence_piece(const gguf_model& model, gguf_keys& keys) {
  auto v = read_vocabulary(keys);
  const auto scores = keys.floats(key("scores"));
  if (scores.size() != v.tokens.size())
    keys.refuse(ec::corrupt, key("scores"),
                std::to_string(v.tokens.size()) +
                    " numbers, one for each token",
                std::to_string(scores.size()));
  if (std::ranges::any_of(scores, [](float s) { return s != s; }))
    keys.refuse(ec::corrupt, key("scores"), "numbers", "NaN");
  if (keys.flag(key("remove_extra_whitespaces")).value_or(false))
    keys.refuse(ec::incompatible, key("remove_extra_whitespaces"), "false",
                "true");
  if (keys.failure()) return {};
  // They are looked for in the text, which has spaces.
  for (std::size_t id = 0; id < v.tokens.size(); ++id)
    if (v.types[id] == user_defined)
      v.tokens[id] = replaced(v.tokens[id], low_line, " ");
  const bool bytes = std::ranges::find(v.types, byte) != v.types.end();
  const bool prefix = keys.flag(key("add_space_prefix")).value_or(true);
  json normal_forms = json::array(), decoders = json::array();
  if (prefix)
    normal_forms.push_back({{"type", "Prepend"}, {"prepend", low_line}});
  normal_forms.push_back({{"type", "Replace"},
                          {"pattern", {{"String", " "}}},
                          {"content", low_line}});
  decoders.push_back({{"type", "Replace"},
                      {"pattern", {{"String", low_line}}},
                      {"content", " "}});
  decoders.push_back(typed("ByteFallback"));
  decoders.push_back(typed("Fuse"));
  if (prefix)
    decoders.push_back(
        {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  auto made = bpe(vocabulary_json(v, keys), merges_of(v, scores));
  made["byte_fallback"] = bytes;
  made["fuse_unk"] = true;
  const auto* none = spelling(v, keys, "unknown_token_id");
  const auto at = std::ranges::find(v.types, unknown);
  if (none)
    made["unk_token"] = *none;
  else if (at != v.types.end())
    made["unk_token"] =
        v.tokens[static_cast<std::size_t>(at - v.types.begin())];
  // Phi-3's special tokens take the white space behind them.
  const bool eats = model.architecture() == "phi3";
  return {{"version", "1.0"},
          {"added_tokens", added_tokens(v, eats)},
          {"normalizer",
           {{"type", "Sequence"}, {"normalizers", normal_forms}}},
          {"pre_tokenizer", nullptr},
          {"post_processor", post_processor(v, keys, true)},
          {"decoder", {{"type", "Sequence"}, {"decoders", decoders}}},
          {"model", std::move(made)}};
}

}  // namespace

result<std::string> gguf_tokenizer_json(const gguf_model& model) {
  gguf_keys keys{model.head()};
  const auto kind = keys.text(key("model")).value_or("");
  json made;
  if (kind == "gpt2")
    made = byte_level(keys);
  else if (kind == "llama")
    made = sentence_piece(model, keys);
  else
    keys.refuse(ec::incompatible, key("model"), "gpt2 or llama",
                keys.found(key("model")));
  if (keys.failure()) return *keys.failure();
  try {
    return made.dump();
  } catch (const json::exception&) {
    keys.refuse(ec::corrupt, key("tokens"), "UTF-8", "other bytes");
    return *keys.failure();
  }
}

gguf_special_ids read_gguf_special_ids(gguf_keys& keys) {
  constexpr std::array<std::string_view, 8> endings{
      "<|endoftext|>", "<|end_of_text|>", "<|im_end|>",   "<|eot_id|>",
      "<|eom_id|>",    "<|end|>",         "<end_of_turn>", "<|endofturn|>"};
  gguf_special_ids out;
  const auto present = [](std::optional<std::int64_t> id) {
    return id && *id >= 0 ? id : std::nullopt;
  };
  out.beginning = present(id_of(keys, "bos_token_id"));
  const auto add = [&](std::int64_t id) {
    if (std::ranges::find(out.ends, id) == out.ends.end())
      out.ends.push_back(id);
  };
  for (const auto* name : {"eos_token_id", "eot_token_id", "eom_token_id"})
    if (const auto id = present(id_of(keys, name))) add(*id);
  const auto tokens = keys.texts(key("tokens"));
  const auto types = keys.integers(key("token_type"));
  for (std::size_t id = 0; id < std::min(tokens.size(), types.size()); ++id)
    if ((types[id] == control || types[id] == user_defined) &&
        std::ranges::find(endings, tokens[id]) != endings.end())
      add(static_cast<std::int64_t>(id));
  return out;
}

special_tokens gguf_special_tokens(const gguf_model& model) {
  gguf_keys keys{model.head()};
  const auto v = read_vocabulary(keys);
  special_tokens out;
  constexpr std::array names{std::pair{"bos_token", "bos_token_id"},
                             std::pair{"eos_token", "eos_token_id"},
                             std::pair{"unk_token", "unknown_token_id"},
                             std::pair{"pad_token", "padding_token_id"}};
  for (const auto& [name, number] : names)
    if (const auto* text = spelling(v, keys, number))
      out.spelled.emplace(name, *text);
  return out;
}

}  // namespace t2
