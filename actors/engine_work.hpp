#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "actors/messages.hpp"
#include "config/result.hpp"
#include "model/engine.hpp"

namespace t2 {

/// What the engine has in hand for others, by ticket: turns requests into
/// calls of the engine and its callbacks into one answer each. An exception in
/// a job ends that job only. The engine's thread.
class engine_work {
 public:
  template <class T>
  using answer_to = std::function<void(result<T>)>;

  // Each begins some work; `done` hears its outcome exactly once, before this
  // returns if the work cannot begin.
  /// An answer waits for open_answers().
  void answer(ticket t, const answer_request_ref& request,
              answer_to<answer_part> done);
  void score(engine& on, ticket t, const scoring_request& request,
             answer_to<row_scores_ref> done);
  void generate(engine& on, ticket t,
                const std::vector<generation_request>& batch,
                answer_to<search_answers_ref> done);
  void run(engine& on, ticket t, engine_job_ref job, answer_to<bool> done);
  /// Mixing goes before any other job: a query waits for it.
  void mix(ticket t, mixing_request_ref request,
           answer_to<ready_mixture> done);

  /// Tokenises answers that wait, for a few milliseconds: between two steps,
  /// so that long prompts do not silence the streams of others.
  void open_answers(engine& on);
  bool answers_wait() const { return !unopened_.empty(); }

  /// A slice of the first mixture that is being made; false: there is none.
  bool advance_mixing(language_model& model);

  /// Ends what the engine still computes for work that has failed: the other
  /// answers of a batch, say. Not from a callback of the engine.
  void drop_left_over(engine& on);

  /// The work under the ticket ends with ec::cancelled.
  void cancel(engine& on, ticket t);
  /// All work ends with this error; the engine is not asked.
  void fail_all(const error& failure);

 private:
  struct item {
    std::vector<sequence_id> sequences;
    std::function<void(const error&)> fail;
  };
  struct mixing;

  void open(engine& on, ticket t, const answer_request& request,
            const answer_to<answer_part>& finish);
  /// The likelihood of a reference answer, as the last part of none.
  void weigh(engine& on, ticket t, const answer_request& request,
             const answer_to<answer_part>& finish);

  /// Takes note of work; what comes back tells its outcome, once. Nothing: the
  /// ticket is in use, and `done` has heard so.
  template <class T>
  std::optional<answer_to<T>> begin(ticket t, answer_to<T> done);

  struct unopened {
    ticket id = 0;
    answer_request_ref request;
    answer_to<answer_part> finish;
  };

  std::map<ticket, item> items_;
  std::deque<unopened> unopened_;
  std::deque<std::shared_ptr<mixing>> mixings_;
  std::vector<sequence_id> left_over_;  // of work that has failed
};

}  // namespace t2
