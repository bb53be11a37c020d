#include "actors/prompt_classifier.hpp"

#include <algorithm>
#include <utility>

#include "actors/internal_ticket.hpp"

namespace t2 {
namespace {

constexpr const char* engine_name = "the generation engine";

scoring_request_ref to_request(classification_rows rows) {
  return std::make_shared<const scoring_request>(
      scoring_request{.rows = std::move(rows.rows),
                      .urgency = priority::live,
                      .shared_prefix = rows.shared_prefix});
}

}  // namespace

std::vector<query_label> parse_labels(const std::vector<std::string>& texts) {
  std::vector<query_label> labels;
  for (const std::string& text : texts) {
    const auto colon = text.find(':');
    query_label label{text.substr(0, colon), {}};
    if (colon != std::string::npos) {
      const auto first = text.find_first_not_of(' ', colon + 1);
      if (first != std::string::npos) label.description = text.substr(first);
    }
    labels.push_back(std::move(label));
  }
  return labels;
}

void prompt_classifier_state::meet(const generation_engine_actor& engine) {
  if (engine == engine_) return;
  engine_ = engine;
  classifier_.reset();
  empty_ = nullptr;
  failure_.reset();
  if (!engine_) return;
  self_->request(engine_, caf::infinite, card_atom_v)
      .then([this, engine](const model_card_ref& card) {
              if (engine == engine_) prepare(card);
            },
            [this, engine](const caf::error& e) {
              if (engine == engine_) fail(from_caf(e, engine_name));
            });
}

void prompt_classifier_state::prepare(const model_card_ref& card) {
  auto made = label_classifier::make(card->model, labels_);
  if (!made) return fail(made.error());
  classifier_ = std::move(*made);
  if (!waiting_.empty()) calibrate();
}

void prompt_classifier_state::calibrate() {
  auto rows = classifier_->rows(query{});
  if (!rows) return fail(rows.error());
  self_->request(engine_, caf::infinite, score_atom_v, internal_ticket(),
                 to_request(std::move(*rows)))
      .then([this, engine = engine_](const row_scores_ref& scores) {
              if (engine != engine_) return;
              empty_ = scores;
              ready();
            },
            [this, engine = engine_](const caf::error& e) {
              if (engine == engine_) fail(from_caf(e, engine_name));
            });
}

void prompt_classifier_state::ready() {
  for (const auto& request : std::exchange(waiting_, {})) start(request);
}

void prompt_classifier_state::fail(const error& why) {
  failure_ = why;
  for (const auto& request : std::exchange(waiting_, {})) {
    request->promise.keep(why);
  }
}

void prompt_classifier_state::start(const pending_ref& request) {
  auto rows = classifier_->rows(*request->question);
  if (!rows) return request->promise.keep(rows.error());
  self_->request(engine_, caf::infinite, score_atom_v, request->id,
                 to_request(std::move(*rows)))
      .then([this, request](const row_scores_ref& scores) {
              if (!classifier_ || !empty_) {
                return request->promise.keep(error{
                    ec::unavailable, "the model was restarted meanwhile"});
              }
              request->promise.keep(classifier_->classify(*scores, *empty_));
            },
            [request](const caf::error& e) {
              request->promise.keep(from_caf(e, engine_name));
            });
}

prompt_classifier_actor::behavior_type prompt_classifier_state::make_behavior(
    std::vector<query_label> labels) {
  labels_ = std::move(labels);
  return {
      [this](classify_atom, ticket t,
             const query_ref& question) -> caf::result<classification> {
        if (failure_) return to_caf(*failure_);
        if (!engine_) {
          return to_caf(error{ec::unavailable, std::string(engine_name) +
                                                   " is being restarted"});
        }
        const auto promise = self_->make_response_promise<classification>();
        const auto request = std::make_shared<pending>(
            pending{t, question, {promise, "the prompt classifier"}});
        if (empty_) {
          start(request);
        } else {
          waiting_.push_back(request);
          if (classifier_ && waiting_.size() == 1) calibrate();
        }
        return promise;
      },
      [this](cancel_atom, ticket t) {
        const auto waits = std::ranges::find_if(
            waiting_, [t](const auto& request) { return request->id == t; });
        if (waits != waiting_.end()) {
          (*waits)->promise.keep(error{ec::cancelled, "cancelled"});
          waiting_.erase(waits);
        } else if (engine_) {
          self_->send(engine_, cancel_atom_v, t);
        }
      },
      [this](peers_atom, const peers_ref& now) { meet(now->engine); },
  };
}

prompt_classifier_actor::behavior_type run_prompt_classifier(
    prompt_classifier* self, std::vector<query_label> labels) {
  return self->state.make_behavior(std::move(labels));
}

}  // namespace t2
