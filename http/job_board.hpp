#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "config/result.hpp"
#include "http/job_journal.hpp"
#include "http/json.hpp"

namespace t2 {

/// Work that goes on after its request was answered: adaptations and trainings.
/// The last `kept` that have ended stay to be read. A process that ends forgets
/// those that came to their own end; those in the background that it cut are in
/// the journal, and the next one shows them as failed. Any thread; callbacks
/// given to it must not call it back.
class job_board {
 public:
  static constexpr std::size_t kept = 100;     // of those that have ended
  static constexpr std::size_t most_live = 100;
  static constexpr std::size_t most_points = 500;  // of a curve

  /// `now`: microseconds since 1970.
  explicit job_board(std::function<std::int64_t()> now,
                     job_journal journal = job_journal());

  /// A new job, queued: its id. `kind` is what it does, `subject` to whom.
  /// ec::busy when as many are under way as may be. One in the `background` is
  /// remembered in the journal until it has ended.
  result<std::string> open(const std::string& kind, const std::string& subject,
                           bool background = false);
  /// How to end it early; called at once where that is asked for already.
  /// `stop` ends it with what it has; without, cancelling does.
  void on_cancel(const std::string& id, std::function<void()> cancel,
                 std::function<void()> stop = {});
  /// The newest progress; the job runs.
  void progress(const std::string& id, ordered_json form);
  /// The end: succeeded with its result, failed, or cancelled. Later ends and
  /// progress are passed over.
  void finish(const std::string& id, result<ordered_json> outcome);

  /// ec::not_found.
  result<ordered_json> show(const std::string& id) const;
  /// Newest first; without curves.
  std::vector<ordered_json> list() const;
  /// The job that works on the subject now.
  std::optional<std::string> live(const std::string& kind,
                                  const std::string& subject) const;
  /// Asks the job to end; one that has ended stays as it is.
  result<ordered_json> cancel(const std::string& id);
  /// The same, with what it has.
  result<ordered_json> stop(const std::string& id);

 private:
  enum class status { queued, running, succeeded, failed, cancelled };
  struct job {
    std::string id, kind, subject;
    status now = status::queued;
    std::int64_t created = 0;
    std::optional<std::int64_t> started, finished;
    ordered_json progress, outcome, failure;
    std::vector<ordered_json> curve;  // every stride-th point
    std::size_t points = 0, stride = 1;
    bool cancelling = false;
    bool background = false;
    bool own_end = true;  // once it has ended: not cut by the process's end
    std::function<void()> cancel, stop;

    bool ended() const { return finished.has_value(); }
  };

  static ordered_json form_of(const job& one, bool with_curve);
  static void keep_point(job& one);
  void take_over(const ordered_json& form);
  void remember(const job& one);
  result<ordered_json> end_early(const std::string& id,
                                 std::function<void()> job::*how);
  job* find(const std::string& id);
  void forget_the_oldest();

  std::function<std::int64_t()> now_;
  job_journal journal_;
  mutable std::mutex mutex_;
  std::list<job> jobs_;  // oldest first
  std::uint64_t last_;   // number of an id
};

}  // namespace t2
