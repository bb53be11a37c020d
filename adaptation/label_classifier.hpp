#pragma once

#include <span>
#include <string>
#include <vector>

#include "adaptation/query.hpp"
#include "config/result.hpp"
#include "engine/engine.hpp"

namespace t2 {

class language_model;

/// A class of queries (paper section 3.2, prompt-based adaptation).
struct query_label {
  std::string name;         // what the model reads: "code", "math", ...
  std::string description;  // a few words more, may be empty

  friend bool operator==(const query_label&, const query_label&) = default;
};

/// "name: description" or "name", as options have it.
query_label parse_label(const std::string& text);

struct classification {
  std::string label;       // "other" means the base
  double confidence = 0;   // of the label, among all
  std::vector<double> probabilities;  // of the labels, then "other"
};

/// The rows of one classification: all have the same first `shared_prefix`
/// tokens (the instruction, of every query), which the engine keeps.
struct classification_rows {
  std::vector<scoring_row> rows;
  std::size_t shared_prefix = 0;
};

/// Pass 1 by likelihood: the base reads instruction and query, and the label it
/// would most likely go on with wins. No text is generated. Each label's
/// mean log-probability per token is corrected by what it is after an empty
/// query (content-free calibration), so that a label is not chosen for being a
/// common word. Under an expert that was trained to classify, the same rows are
/// scored as they are. Immutable; any thread.
class label_classifier {
 public:
  /// `other` is added last when it is not among the labels. Errors: fewer than
  /// one label, repeated names, no tokenizer.
  static result<label_classifier> make(
      std::shared_ptr<const language_model> model,
      std::vector<query_label> labels);

  const std::vector<query_label>& labels() const { return labels_; }

  /// What the model reads before it says a label. A long query is cut to its
  /// last `max_query_tokens` tokens.
  result<std::vector<token_id>> prompt(const query& question) const;

  /// The rows for a query, one per label, under `delta`. Empty prompt and
  /// messages: the calibration.
  result<classification_rows> rows(const query& question,
                                   const delta_ref& delta = nullptr) const;

  /// `scores` of the rows of a query, and those of the empty query (or none:
  /// no calibration).
  result<classification> classify(std::span<const row_score> scores,
                                  std::span<const row_score> empty = {}) const;

  static constexpr std::size_t max_query_tokens = 256;

 private:
  label_classifier() = default;
  std::shared_ptr<const language_model> model_;
  std::vector<query_label> labels_;
  std::vector<token_id> prefix_;  // instruction, as far as the query
  std::vector<token_id> suffix_;  // between query and label
  std::vector<std::vector<token_id>> answers_;  // of each label
};

}  // namespace t2
