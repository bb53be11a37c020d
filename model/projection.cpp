#include "model/projection.hpp"

#include <array>
#include <charconv>
#include <optional>
#include <utility>

namespace t2 {
namespace {

struct kind_name {
  projection_kind kind;
  std::string_view name;
  std::string_view of_layer;  // "": of none
};

constexpr std::array<kind_name, 9> kind_names{{
    {projection_kind::query, "q_proj", "self_attn"},
    {projection_kind::key, "k_proj", "self_attn"},
    {projection_kind::value, "v_proj", "self_attn"},
    {projection_kind::output, "o_proj", "self_attn"},
    {projection_kind::gate, "gate_proj", "mlp"},
    {projection_kind::up, "up_proj", "mlp"},
    {projection_kind::down, "down_proj", "mlp"},
    {projection_kind::embedding, "embed_tokens", ""},
    {projection_kind::head, "lm_head", ""},
}};
constexpr std::size_t kinds_of_layer = 7;

bool is_attention(projection_kind kind) {
  return kind <= projection_kind::output;
}
bool is_mlp(projection_kind kind) {
  return kind >= projection_kind::gate && kind <= projection_kind::down;
}

std::pair<std::int64_t, std::int64_t> shape_of(const model_config& c,
                                               projection_kind kind) {
  switch (kind) {
    case projection_kind::query: return {c.heads * c.head_dim, c.hidden};
    case projection_kind::key:
    case projection_kind::value: return {c.kv_heads * c.head_dim, c.hidden};
    case projection_kind::output: return {c.hidden, c.heads * c.head_dim};
    case projection_kind::gate:
    case projection_kind::up: return {c.intermediate, c.hidden};
    case projection_kind::down: return {c.hidden, c.intermediate};
    case projection_kind::embedding:
    case projection_kind::head: return {c.vocabulary, c.hidden};
  }
  return {0, 0};
}

projection make(const model_config& config, std::int64_t layer,
                projection_kind kind, std::string weight) {
  const auto [out, in] = shape_of(config, kind);
  return {layer, kind, std::move(weight), out, in};
}

/// Where a projection stands among all that a model of any size may have.
std::size_t place_of(std::int64_t layer, projection_kind kind) {
  constexpr std::size_t outside = 2;
  if (kind >= projection_kind::embedding)
    return static_cast<std::size_t>(kind) - kinds_of_layer;
  return outside + static_cast<std::size_t>(layer) * kinds_of_layer +
         static_cast<std::size_t>(kind);
}

/// Whether `text` is `pattern`, whose * stand for anything.
bool matches(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0;
  std::optional<std::pair<std::size_t, std::size_t>> star;  // after it, and text
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = {++p, t};
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p, ++t;
    } else if (star) {
      p = star->first;
      t = ++star->second;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool is_word(std::string_view text) {
  return text == "attention" || text == "mlp" || text == "all";
}

bool is_kind(std::string_view text) {
  return std::ranges::any_of(
      kind_names, [&](const kind_name& known) { return known.name == text; });
}

bool is_pattern(std::string_view text) {
  const auto of_names = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '*';
  };
  return text.find_first_of(".*") != std::string_view::npos &&
         std::ranges::all_of(text, of_names);
}

std::optional<std::int64_t> parse_layer(std::string_view text) {
  std::int64_t layer = 0;
  const auto [end, failed] =
      std::from_chars(text.data(), text.data() + text.size(), layer);
  if (failed != std::errc{} || end != text.data() + text.size() || layer < 0)
    return std::nullopt;
  return layer;
}

error unknown(std::string_view term) {
  return {ec::invalid_argument,
          "targets: expected attention, mlp, all, q_proj, k_proj, v_proj, "
          "o_proj, gate_proj, up_proj, down_proj, embed_tokens, lm_head or a "
          "pattern of weights' names between commas, each behind 'N:' or "
          "'N-M:' where only those layers are meant, found '" +
              std::string{term} + "'"};
}

}  // namespace

std::string_view to_string(projection_kind kind) {
  return kind_names[static_cast<std::size_t>(kind)].name;
}

result<svf_targets::term> svf_targets::term::parse(std::string_view text) {
  term out;
  auto what = text;
  if (const auto colon = text.find(':'); colon != std::string_view::npos) {
    const auto layers = text.substr(0, colon);
    const auto dash = layers.find('-');
    const auto first = parse_layer(layers.substr(0, dash));
    const auto last = dash == std::string_view::npos
                          ? first
                          : parse_layer(layers.substr(dash + 1));
    if (!first || !last || *last < *first) return unknown(text);
    out.first_layer = *first;
    out.last_layer = *last;
    what = text.substr(colon + 1);
  }
  if (!is_word(what) && !is_kind(what) && !is_pattern(what))
    return unknown(text);
  out.what = what;
  return out;
}

bool svf_targets::term::holds(const projection& one) const {
  if (first_layer >= 0 && (one.layer < first_layer || one.layer > last_layer))
    return false;
  if (what == "all") return is_attention(one.kind) || is_mlp(one.kind);
  if (what == "attention") return is_attention(one.kind);
  if (what == "mlp") return is_mlp(one.kind);
  const auto name =
      std::string_view{one.weight}.substr(0, one.weight.rfind('.'));
  return matches(what, name) || matches(what, to_string(one.kind));
}

std::string svf_targets::term::text() const {
  if (first_layer < 0) return what;
  return std::to_string(first_layer) +
         (last_layer == first_layer ? "" : "-" + std::to_string(last_layer)) +
         ":" + what;
}

svf_targets::svf_targets(std::vector<term> terms) : terms_(std::move(terms)) {
  const auto has = [&](std::string_view word) {
    return std::ranges::find(terms_, term{.what = std::string{word}}) !=
           terms_.end();
  };
  // Two spellings of the same.
  if (has("attention") && has("mlp")) terms_.push_back({.what = "all"});
  if (has("all"))
    std::erase_if(terms_, [](const term& t) {
      return t.first_layer < 0 && (t.what == "attention" || t.what == "mlp");
    });
  std::ranges::sort(terms_);
  const auto repeated = std::ranges::unique(terms_);
  terms_.erase(repeated.begin(), repeated.end());
}

result<svf_targets> svf_targets::parse(std::string_view text) {
  std::vector<term> terms;
  for (auto rest = text;;) {
    const auto comma = rest.find(',');
    auto one = term::parse(rest.substr(0, comma));
    if (!one) return one.error();
    terms.push_back(*std::move(one));
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  return svf_targets{std::move(terms)};
}

svf_targets svf_targets::both(const svf_targets& a, const svf_targets& b) {
  auto terms = a.terms_;
  terms.insert(terms.end(), b.terms_.begin(), b.terms_.end());
  return svf_targets{std::move(terms)};
}

bool svf_targets::contain(const projection& one) const {
  return std::ranges::any_of(terms_,
                             [&](const term& t) { return t.holds(one); });
}

result<void> svf_targets::check(const model_config& config) const {
  const auto known = projections_of(config);
  for (const auto& t : terms_) {
    if (std::ranges::any_of(known,
                            [&](const projection& p) { return t.holds(p); }))
      continue;
    const bool tied = config.tied_embeddings && t.what == "lm_head";
    return error{ec::invalid_argument,
                 "targets: expected weights of this model (" +
                     std::to_string(config.layers) + " layers of " +
                     config.model_type + "), found none that '" + t.text() +
                     "' names" +
                     (tied ? "; its head is tied to embed_tokens" : "")};
  }
  return {};
}

std::string svf_targets::text() const {
  std::string out;
  for (const auto& t : terms_) out += (out.empty() ? "" : ",") + t.text();
  return out;
}

std::vector<projection> projections_of(const model_config& config) {
  std::vector<projection> out;
  out.push_back(make(config, projection::no_layer, projection_kind::embedding,
                     "model.embed_tokens.weight"));
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    const auto prefix = "model.layers." + std::to_string(layer) + ".";
    for (const auto& [kind, name, group] : kind_names) {
      if (group.empty() ||
          (kind == projection_kind::gate && !config.block.gated))
        continue;
      out.push_back(make(config, layer, kind,
                         prefix + std::string{group} + "." +
                             std::string{name} + ".weight"));
    }
  }
  if (!config.tied_embeddings)
    out.push_back(make(config, projection::no_layer, projection_kind::head,
                       "lm_head.weight"));
  return out;
}

svf_layout::svf_layout(const model_config& config, svf_targets targets)
    : targets_(std::move(targets)),
      offsets_{0},
      places_(place_of(config.layers, projection_kind::query), -1) {
  for (auto& one : projections_of(config)) {
    if (!targets_.contain(one)) continue;
    places_[place_of(one.layer, one.kind)] =
        static_cast<std::int32_t>(projections_.size());
    offsets_.push_back(offsets_.back() + one.rank());
    projections_.push_back(std::move(one));
  }
}

std::int64_t svf_layout::find(std::int64_t layer, projection_kind kind) const {
  const auto place = place_of(layer, kind);
  return place < places_.size() ? places_[place] : -1;
}

}  // namespace t2
