#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "config/result.hpp"
#include "engine/sequence.hpp"
#include "model/singular_delta.hpp"

namespace t2 {

/// One text whose answer's likelihood is wanted: log p(tokens[i] | tokens[:i])
/// for i >= answer_begin >= 1.
struct scoring_row {
  std::vector<token_id> tokens;
  std::size_t answer_begin = 1;
  delta_ref delta;
};

struct row_score {
  std::vector<float> log_probabilities;  // one for each answer token
  double sum() const;
};

/// Called on the engine's thread, once, with a score for each row in order, or
/// an error (cancelled, or a row that does not fit).
using scores_callback = std::function<void(result<std::vector<row_score>>)>;

/// Texts that were asked for together.
struct score_request {
  std::vector<row_score> scores;
  std::size_t missing = 0;  // sequences that are not at their end
  scores_callback on_scores;
};

/// Where the scores of a sequence go: to its row, and the first ones of rows that
/// ask the same also to them.
struct scored_text {
  std::shared_ptr<score_request> request;
  std::size_t row = 0;
  std::int64_t answer_begin = 1;
  std::vector<std::size_t> others;  // sequence::other_firsts, in its order

  /// The log-probabilities of position `p`'s next token, and of the others', as
  /// the step has them; how many were taken.
  std::size_t take(std::int64_t p, const float* log_p) const;
};

/// Sequences for rows to score, and where their scores go. Rows beside each other
/// that ask the same under one mixture are told their first tokens by one of them:
/// labels of one query are so little more than the query. The beginnings that rows
/// share are the prefix cache's business.
struct scoring_sequence {
  std::shared_ptr<sequence> computed;
  scored_text told;
};
std::vector<scoring_sequence> plan_scoring(
    std::vector<scoring_row> rows,
    const std::shared_ptr<score_request>& request);

}  // namespace t2
