#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "actors/messages.hpp"
#include "actors/text_pool.hpp"
#include "config/result.hpp"
#include "engine/engine.hpp"

namespace t2 {

/// What the engine has in hand for others, by ticket: turns requests into
/// calls of the engine and its callbacks into one answer each. Texts become
/// tokens on threads of their own. An exception in a job ends that job only. The
/// engine's thread.
class engine_work {
 public:
  template <class T>
  using answer_to = std::function<void(result<T>)>;

  /// Called on a thread of the texts whenever there is one more for
  /// open_answers(). Before the first answer.
  void on_read(std::function<void()> notify);

  // Each begins some work; `done` hears its outcome exactly once, before this
  // returns if the work cannot begin.
  /// An answer's text is read elsewhere, then it waits for open_answers().
  void answer(engine& on, ticket t, const answer_request_ref& request,
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

  /// Hands answers whose texts have been read to the engine: between two steps.
  void open_answers(engine& on);
  /// Waits until all texts in hand have been read.
  void wait_for_texts() { texts_.wait(); }

  /// A slice of the first mixture that is being made; false: there is none.
  bool advance_mixing(language_model& model);

  /// After each step: ends what the engine still computes for work that has
  /// failed, such as the other answers of a batch. Not from a callback of the
  /// engine.
  void drop_left_over(engine& on);

  /// Whose scoring, batch or job the engine knows under this id; those that
  /// have ended in the last step too.
  std::optional<ticket> ticket_of(sequence_id id) const;

  /// The work under the ticket ends with ec::cancelled.
  void cancel(engine& on, ticket t);
  /// All work ends with this error; the engine is not asked.
  void fail_all(const error& failure);

 private:
  struct item {
    // While its text is read, and what then hears of the answer.
    answer_request_ref reading;
    answer_to<answer_part> finish;
    std::vector<sequence_id> sequences;
    std::function<void(const error&)> fail;
  };
  struct mixing;

  void open(engine& on, ticket t, const answer_request& request,
            std::vector<token_id> prompt,
            const answer_to<answer_part>& finish);
  /// The likelihood of a reference answer, as the last part of none.
  void weigh(engine& on, ticket t, const answer_request& request,
             scoring_row row, const answer_to<answer_part>& finish);

  /// Takes note of work; what comes back tells its outcome, once. Nothing: the
  /// ticket is in use, and `done` has heard so.
  template <class T>
  std::optional<answer_to<T>> begin(ticket t, answer_to<T> done);

  /// An answer whose text has been read: a prompt alone, or with a reference.
  struct read_text {
    ticket id = 0;
    answer_request_ref request;
    result<scoring_row> row;
  };
  /// Between the threads of the texts and the engine's.
  struct inbox {
    std::mutex mutex;
    std::vector<read_text> texts;
    std::function<void()> notify = [] {};
  };

  /// The engine works for a ticket under this id.
  void own(ticket t, sequence_id id);

  std::map<ticket, item> items_;
  std::map<sequence_id, ticket> owners_;  // until after the step that ends them
  std::shared_ptr<inbox> inbox_ = std::make_shared<inbox>();
  std::deque<std::shared_ptr<mixing>> mixings_;
  std::vector<sequence_id> left_over_;  // of work that has failed
  text_pool texts_;
};

}  // namespace t2
