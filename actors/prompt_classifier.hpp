#pragma once

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "actors/kept_promise.hpp"
#include "actors/protocol.hpp"

namespace t2 {

/// The configured labels, each "name" or "name: a few words more".
std::vector<query_label> parse_labels(const std::vector<std::string>& texts);

/// Pass 1 by likelihood: the engine scores the labels after a shared prefix.
/// What labels are worth after an empty query is asked once per model.
class prompt_classifier_state {
 public:
  static inline const char* name = "prompt_classifier";
  using pointer = prompt_classifier_actor::pointer;

  explicit prompt_classifier_state(pointer self) : self_(self) {}
  prompt_classifier_actor::behavior_type make_behavior(
      std::vector<query_label> labels);

 private:
  struct pending {
    ticket id = 0;
    query_ref question;
    kept_promise<classification> promise;
  };
  using pending_ref = std::shared_ptr<pending>;

  void meet(const generation_engine_actor& engine);
  void prepare(const model_card_ref& card);
  void calibrate();
  void start(const pending_ref& request);
  void ready();
  void fail(const error& why);

  pointer self_;
  std::vector<query_label> labels_;
  generation_engine_actor engine_;
  std::optional<label_classifier> classifier_;  // of engine_'s model
  row_scores_ref empty_;       // scores of the empty query; null: not yet known
  std::optional<error> failure_;
  std::vector<pending_ref> waiting_;  // for the calibration
};

using prompt_classifier =
    caf::stateful_actor<prompt_classifier_state, prompt_classifier_actor::base>;

prompt_classifier_actor::behavior_type run_prompt_classifier(
    prompt_classifier* self, std::vector<query_label> labels);

}  // namespace t2
