#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "model/answer.hpp"
#include "model/engine.hpp"
#include "model/kv_cache.hpp"
#include "model/prefix_cache.hpp"

namespace t2 {

/// One sequence of the engine that computes keys and values token by token: an
/// answer being written, a text being scored, or a beginning that several
/// texts share. Its tokens are [start, size) of the whole sequence; those
/// before belong to `parent`.
struct engine_unit {
  virtual ~engine_unit() = default;

  sequence_id owner = 0;  // what cancel() names; 0: a shared prefix
  priority urgency = priority::live;
  delta_ref delta;
  std::vector<token_id> tokens;  // all, also the parent's
  std::int64_t start = 0;
  std::int64_t computed = 0;  // tokens whose keys are stored, from 0 on
  std::int64_t capacity = 0;  // tokens the cache holds at most beyond `start`
  std::uint64_t arrival = 0;  // later ones give way to earlier ones
  flow_id flow;               // whose share of a step it takes
  std::shared_ptr<engine_unit> parent;
  std::shared_ptr<kv_sequence> kv;

  std::int64_t pending() const {
    return static_cast<std::int64_t>(tokens.size()) - computed;
  }
  /// Whether the hidden state at `position` is wanted.
  virtual bool wants(std::int64_t position) const = 0;
  /// Forgets what was computed: the cache is needed for others.
  virtual void start_over() {
    kv.reset();
    computed = start;
  }
};

/// An answer being written.
struct answer_unit : engine_unit {
  generation_request request;
  answer text{nullptr, {}};
  std::int64_t prompt_size = 0;
  // Whole pages that are in the prefix cache, and the key behind them.
  std::int64_t cached_pages = 0;
  prefix_key cached_key{};
  bool counted = false;  // among the prompts

  std::int64_t answer_tokens() const {
    return static_cast<std::int64_t>(tokens.size()) - prompt_size;
  }
  bool wants(std::int64_t position) const override {
    return position + 1 == static_cast<std::int64_t>(tokens.size());
  }
};

struct score_request;

/// A text being scored; without its last token, whose keys nobody reads.
struct score_unit : engine_unit {
  std::shared_ptr<score_request> request;
  std::size_t index = 0;  // of the row in the request
  std::int64_t answer_begin = 1;
  token_id last_token = 0;

  bool wants(std::int64_t position) const override {
    return position + 1 >= answer_begin;
  }
  void start_over() override;
  token_id token_after(std::int64_t position) const {
    const auto next = static_cast<std::size_t>(position + 1);
    return next < tokens.size() ? tokens[next] : last_token;
  }
};

/// A beginning that texts share. Where they share all of their prompt, its last
/// position predicts the first answer token of each.
struct prefix_unit : engine_unit {
  struct first_token {
    std::size_t row = 0;  // of the request
    token_id token = 0;
    bool whole = false;   // it is all of the row's answer
  };
  std::shared_ptr<score_request> request;  // of firsts
  std::vector<first_token> firsts;
  bool told = false;  // firsts have their scores

  bool wants(std::int64_t position) const override {
    return !firsts.empty() && !told &&
           position + 1 == static_cast<std::int64_t>(tokens.size());
  }
};

struct score_request {
  sequence_id id = 0;
  std::vector<row_score> scores;
  std::size_t missing = 0;
  scores_callback on_scores;
};

/// Units for rows to score. Rows under one delta that begin alike share that
/// beginning as a prefix_unit (labels of one query are so little more than the
/// query); `cached` is the unit of the first shared_prefix
/// tokens if it is at hand already, else a new one is made and returned there.
std::vector<std::shared_ptr<engine_unit>> plan_scoring(
    std::vector<scoring_row> rows, const std::shared_ptr<score_request>& request,
    priority urgency, std::size_t shared_prefix,
    std::shared_ptr<prefix_unit>& cached);

}  // namespace t2
