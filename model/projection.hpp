#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/result.hpp"
#include "model/model_config.hpp"

namespace t2 {

/// The linear maps of a decoder. Every list of projections keeps an order: the
/// embedding, then layer by layer as below, then the head.
enum class projection_kind : std::uint8_t {
  query, key, value, output, gate, up, down, embedding, head
};

/// "q_proj" to "down_proj", "embed_tokens", "lm_head".
std::string_view to_string(projection_kind kind);

/// One weight W (out × in) with rank r = min(out, in) singular values. The
/// embedding is [V, H], a looked-up row of which is an output.
struct projection {
  /// Of embedding and head.
  static constexpr std::int64_t no_layer = -1;

  std::int64_t layer = 0;
  projection_kind kind = projection_kind::query;
  std::string weight;  // its canonical name, whatever the files call it
  std::int64_t out_features = 0;
  std::int64_t in_features = 0;

  std::int64_t rank() const { return std::min(out_features, in_features); }
};

/// Which weights an expert rescales: terms between commas, each one of
///
///   attention, mlp, all    the linear maps of the layers, as in the paper
///   NAME                   of one kind: q_proj, ..., embed_tokens, lm_head
///   PATTERN                of weights' names without ".weight", where * stands
///                          for anything: model.layers.*.mlp.up_proj, *_proj
///
/// and, before a term, "N:" or "N-M:" for those layers alone. A head that is
/// tied to the embedding is rescaled with it.
class svf_targets {
 public:
  static const svf_targets attention, mlp, all;

  svf_targets() : svf_targets{named("all")} {}
  /// ec::invalid_argument says what was expected.
  static result<svf_targets> parse(std::string_view text);
  /// What either of two rescales.
  static svf_targets both(const svf_targets& a, const svf_targets& b);

  bool contain(const projection& one) const;
  /// That this model has a weight for each term; ec::invalid_argument names the
  /// term otherwise.
  result<void> check(const model_config& config) const;
  /// In one spelling: parse() of it gives the same.
  std::string text() const;

  friend auto operator<=>(const svf_targets&, const svf_targets&) = default;

 private:
  struct term {
    std::int64_t first_layer = -1, last_layer = -1;  // -1: wherever
    std::string what{};

    static result<term> parse(std::string_view text);
    bool holds(const projection& one) const;
    std::string text() const;
    friend auto operator<=>(const term&, const term&) = default;
  };
  explicit svf_targets(std::vector<term> terms);
  static svf_targets named(std::string word) {
    std::vector<term> one(1);
    one.front().what = std::move(word);
    return svf_targets{std::move(one)};
  }

  std::vector<term> terms_;  // sorted, each once
};

inline const svf_targets svf_targets::attention = named("attention");
inline const svf_targets svf_targets::mlp = named("mlp");
inline const svf_targets svf_targets::all = named("all");

inline std::string to_string(const svf_targets& targets) {
  return targets.text();
}
inline result<svf_targets> parse_svf_targets(std::string_view text) {
  return svf_targets::parse(text);
}

/// Every weight of the model that targets can name, in order. A tied head is
/// none of its own.
std::vector<projection> projections_of(const model_config& config);

/// The projections that an expert rescales, and where the singular values of
/// each lie in one flat vector of all of them.
class svf_layout {
 public:
  svf_layout(const model_config& config, svf_targets targets);

  const svf_targets& targets() const { return targets_; }
  const std::vector<projection>& projections() const { return projections_; }
  std::size_t size() const { return projections_.size(); }
  /// Entries of projection p: [offset(p), offset(p) + projections()[p].rank()).
  std::int64_t offset(std::size_t p) const { return offsets_[p]; }
  /// Length of the flat vector.
  std::int64_t total() const { return offsets_.back(); }
  /// Index of a projection, or -1 where it is not adapted.
  std::int64_t find(std::int64_t layer, projection_kind kind) const;
  /// Whether two layouts of one model have the same projections.
  bool matches(const svf_layout& other) const {
    return places_ == other.places_;
  }

 private:
  svf_targets targets_;
  std::vector<projection> projections_;
  std::vector<std::int64_t> offsets_;  // size() + 1
  std::vector<std::int32_t> places_;   // by layer and kind, or -1
};

}  // namespace t2
