#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <stop_token>
#include <utility>
#include <vector>

#include "actors/adaptation_plan.hpp"
#include "adaptation/few_shot_search.hpp"
#include "config/result.hpp"
#include "model/language_model.hpp"

namespace t2 {

/// One search between its actor and the engine. Its tensor work is done in
/// slices on the engine's thread (prepare, advance); in between the actor
/// reads `work` and hands back what the engine said of it. Never both at once.
class search_run {
 public:
  /// `given`: how long the engine has worked for this search. `search.seconds`
  /// are of that, and of the time that a slow reward takes.
  search_run(std::shared_ptr<const adaptation_plan> plan,
             reward_options rewards,
             std::function<std::chrono::nanoseconds()> given)
      : plan_(std::move(plan)),
        rewards_(std::move(rewards)),
        given_(std::move(given)) {}
  /// A judge that still works is stopped.
  ~search_run() { stop_judging_.request_stop(); }

  /// Hands out the first work; true while the shots are encoded on a thread of
  /// their own: call again. The engine's thread.
  bool prepare(const std::shared_ptr<const language_model>& model,
               const std::shared_ptr<const expert_pool>& pool);
  /// Takes the results in and hands out the next work; true while a slow
  /// reward judges on a thread of its own: call again. The engine's thread,
  /// which waits a few milliseconds, no more.
  bool advance();

  /// What is known decides; the work is search_done from here on. The engine's
  /// thread.
  void expire();

  /// The results of the last work.
  void take(std::shared_ptr<const std::vector<row_score>> scores) {
    scores_ = std::move(scores);
  }
  void take(std::shared_ptr<const std::vector<search_answer>> answers) {
    answers_ = std::move(answers);
  }

  /// What to do next, or why the search cannot go on.
  const result<search_work>& work() const { return work_; }
  few_shot_progress progress() const;
  /// Once the work is search_done: the record to store.
  result<store_adaptation> outcome(const std::string& base) const;

 private:
  using judged_shots = std::pair<std::shared_ptr<const reward>,
                                 std::vector<search_shot>>;

  result<judged_shots> encode(const language_model& model) const;
  result<void> start(judged_shots shots,
                     std::shared_ptr<const expert_pool> pool);
  result<void> tell();
  bool still_judging();
  /// Waits a little; false: it is not ready.
  template <class T>
  bool is_ready(const std::future<T>& work);
  steady_time spent() const;

  std::shared_ptr<const adaptation_plan> plan_;
  reward_options rewards_;
  std::function<std::chrono::nanoseconds()> given_;
  /// For other threads. Of every wait no more counts than it was to last.
  std::atomic<std::chrono::nanoseconds> waited_{};
  std::unique_ptr<few_shot_search> search_;
  std::shared_ptr<const std::vector<row_score>> scores_;
  std::shared_ptr<const std::vector<search_answer>> answers_;
  std::stop_source stop_judging_;
  std::future<result<judged_shots>> encoding_;
  // Last but one: it is waited for before what it reads goes.
  std::future<std::vector<result<double>>> judging_;
  result<search_work> work_ =
      error{ec::internal, "the search was not prepared"};
};

}  // namespace t2
