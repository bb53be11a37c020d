#pragma once

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "actors/kept_promise.hpp"
#include "actors/protocol.hpp"

namespace t2 {

/// Pass 1 by likelihood: the engine scores the labels after a shared prefix.
/// Under the base, what labels are worth after an empty query is asked once per
/// model and set of labels; an expert for it is taken at its word.
class prompt_classifier_state {
 public:
  static inline const char* name = "prompt_classifier";
  using pointer = prompt_classifier_actor::pointer;

  explicit prompt_classifier_state(pointer self) : self_(self) {}
  prompt_classifier_actor::behavior_type make_behavior();

 private:
  struct pending {
    ticket id = 0;
    classify_request_ref request;
    kept_promise<classification> promise;
  };
  using pending_ref = std::shared_ptr<pending>;
  /// A set of labels, ready for the model.
  struct prepared {
    label_table_ref table;
    std::optional<label_classifier> classifier;
    row_scores_ref empty;  // scores of the empty query; null: not yet known
    std::vector<pending_ref> waiting;  // for them
  };
  using prepared_ref = std::shared_ptr<prepared>;

  void meet(const generation_engine_actor& engine);
  void loaded(const model_card_ref& card);
  void take(const pending_ref& asked);
  result<prepared_ref> prepare(const label_table_ref& table);
  void calibrate(const prepared_ref& with);
  void fail_waiting(const prepared_ref& with, const error& why);
  void start(const prepared_ref& with, const pending_ref& asked);
  void fail(const error& why);
  void cancel(ticket t);

  pointer self_;
  generation_engine_actor engine_;
  model_card_ref card_;  // of engine_; null: not loaded (yet)
  std::optional<error> failure_;
  std::list<prepared_ref> prepared_;  // the last used first
  std::vector<pending_ref> waiting_;  // for the model
};

using prompt_classifier =
    caf::stateful_actor<prompt_classifier_state, prompt_classifier_actor::base>;

prompt_classifier_actor::behavior_type run_prompt_classifier(
    prompt_classifier* self);

}  // namespace t2
