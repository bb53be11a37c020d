#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "adaptation/example.hpp"
#include "adaptation/prompt_form.hpp"
#include "config/task_file.hpp"
#include "config/options.hpp"
#include "config/result.hpp"
#include "tools/answer_log.hpp"
#include "tools/api_client.hpp"
#include "tools/interrupt.hpp"
#include "tools/replay_summary.hpp"

namespace t2 {

/// A line to replay.
struct replay_query {
  std::string id;
  std::string path;  // of the completion
  ordered_json body;
  std::string digest;  // sha256 of path and body
  std::string reward;  // empty: not judged
  std::string target = {};  // of an evaluation: told in its line
  std::optional<example> reference;
};

/// A streamed completion of `target` for a line, its prompt in this form;
/// `body` has the sampling.
result<replay_query> make_query(const task_line& line,
                                const std::string& target, ordered_json body,
                                std::string reward,
                                prompt_form form = prompt_form::raw);

/// Asks queries from several threads, judges the answers and writes them down.
class replay_run {
 public:
  /// Hears each answer's line of the log, one call at a time.
  using line_callback =
      std::function<void(const replay_query&, const ordered_json&)>;

  replay_run(const api_client& api, const interrupt& signals,
             reward_options rewards, answer_log* log,
             line_callback on_line = {})
      : api_(api),
        signals_(signals),
        rewards_(std::move(rewards)),
        log_(log),
        on_line_(std::move(on_line)) {}

  /// Leaves out the queries that the log has answers for, of which on_line
  /// hears; ec::incompatible when one of those was asked differently or, in an
  /// evaluation, judged differently.
  result<std::vector<replay_query>> pending(std::vector<replay_query> all);

  /// Until all are answered, or the server or the log is gone. `on_done` hears
  /// after each query, one call at a time.
  result<void> ask_all(const std::vector<replay_query>& queries,
                       std::size_t threads,
                       const std::function<void(std::size_t)>& on_done);

  const replay_summary& summary() const { return summary_; }
  /// Of a query that could not be answered.
  const std::optional<error>& first_failure() const { return failure_; }

 private:
  result<ordered_json> ask(const replay_query& query) const;
  result<ordered_json> ask_once(const replay_query& query) const;
  result<ordered_json> score_of(const replay_query& query,
                                const std::string& answer) const;
  void keep(const replay_query& query, const result<ordered_json>& line);

  const api_client& api_;
  const interrupt& signals_;
  reward_options rewards_;
  answer_log* log_;   // may be null
  line_callback on_line_;
  std::mutex mutex_;  // guards what follows, and the log
  replay_summary summary_;
  std::optional<error> failure_;  // of a query
  std::optional<error> fatal_;    // of all
  std::size_t done_ = 0;
  std::atomic<bool> stopped_ = false;
};

}  // namespace t2
