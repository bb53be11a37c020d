#include "actors/prompt_classifier.hpp"

#include <algorithm>
#include <utility>

#include "actors/common_errors.hpp"
#include "actors/internal_ticket.hpp"

namespace t2 {
namespace {

constexpr std::size_t kept_tables = 4;

scoring_request_ref to_request(classification_rows rows, flow_id flow) {
  return std::make_shared<const scoring_request>(
      scoring_request{.rows = std::move(rows.rows),
                      .urgency = priority::live,
                      .shared_prefix = rows.shared_prefix,
                      .flow = flow});
}

}  // namespace

void prompt_classifier_state::meet(const generation_engine_actor& engine) {
  if (engine == engine_) return;
  engine_ = engine;
  card_ = nullptr;
  failure_.reset();
  // Who waited for the old engine's scores waits for the new one.
  for (const auto& with : std::exchange(prepared_, {})) {
    auto waited = std::exchange(with->waiting, {});
    std::ranges::move(waited, std::back_inserter(waiting_));
  }
  if (!engine_) return;
  self_->request(engine_, caf::infinite, card_atom_v)
      .then([this, engine](const model_card_ref& card) {
              if (engine == engine_) loaded(card);
            },
            [this, engine](const caf::error& e) {
              if (engine == engine_) fail(from_caf(e, engine_name));
            });
}

void prompt_classifier_state::loaded(const model_card_ref& card) {
  card_ = card;
  for (const auto& asked : std::exchange(waiting_, {})) take(asked);
}

void prompt_classifier_state::take(const pending_ref& asked) {
  if (!card_) return waiting_.push_back(asked);
  const auto with = prepare(asked->request->table);
  if (!with) return asked->promise.keep(with.error());
  if (asked->request->delta || (*with)->empty) return start(*with, asked);
  (*with)->waiting.push_back(asked);
  if ((*with)->waiting.size() == 1) calibrate(*with);
}

result<prompt_classifier_state::prepared_ref> prompt_classifier_state::prepare(
    const label_table_ref& table) {
  const auto known = std::ranges::find_if(prepared_, [&](const auto& one) {
    return one->table->labels == table->labels;
  });
  if (known != prepared_.end()) {
    prepared_.splice(prepared_.begin(), prepared_, known);
    return prepared_.front();
  }
  auto made = label_classifier::make(card_->model, table->labels);
  if (!made) return made.error();
  prepared_.push_front(std::make_shared<prepared>());
  prepared_.front()->table = table;
  prepared_.front()->classifier = std::move(*made);
  if (prepared_.size() > kept_tables) prepared_.pop_back();
  return prepared_.front();
}

void prompt_classifier_state::calibrate(const prepared_ref& with) {
  auto rows = with->classifier->rows(query{});
  if (!rows) return fail_waiting(with, rows.error());
  self_->request(engine_, caf::infinite, score_atom_v, internal_ticket(),
                 to_request(std::move(*rows), {}))
      .then([this, with](const row_scores_ref& scores) {
              with->empty = scores;
              for (const auto& asked : std::exchange(with->waiting, {}))
                start(with, asked);
            },
            [this, with](const caf::error& e) {
              fail_waiting(with, from_caf(e, engine_name));
            });
}

void prompt_classifier_state::fail_waiting(const prepared_ref& with,
                                           const error& why) {
  for (const auto& asked : std::exchange(with->waiting, {}))
    asked->promise.keep(why);
}

void prompt_classifier_state::start(const prepared_ref& with,
                                    const pending_ref& asked) {
  const classify_request& request = *asked->request;
  auto rows = with->classifier->rows(request.question, request.delta);
  if (!rows) return asked->promise.keep(rows.error());
  self_->request(engine_, caf::infinite, score_atom_v, asked->id,
                 to_request(std::move(*rows), request.flow))
      .then(
          [with, asked](const row_scores_ref& scores) {
            asked->promise.keep(
                asked->request->delta
                    ? with->classifier->classify(*scores)
                    : with->classifier->classify(*scores, *with->empty));
          },
          [asked](const caf::error& e) {
            asked->promise.keep(from_caf(e, engine_name));
          });
}

void prompt_classifier_state::fail(const error& why) {
  failure_ = why;
  for (const auto& asked : std::exchange(waiting_, {}))
    asked->promise.keep(why);
}

void prompt_classifier_state::cancel(ticket t) {
  const auto drop = [t](std::vector<pending_ref>& from) {
    const auto waits = std::ranges::find_if(
        from, [t](const auto& asked) { return asked->id == t; });
    if (waits == from.end()) return false;
    (*waits)->promise.keep(error{ec::cancelled, "cancelled"});
    from.erase(waits);
    return true;
  };
  if (drop(waiting_)) return;
  for (const auto& with : prepared_)
    if (drop(with->waiting)) return;
  if (engine_) self_->send(engine_, cancel_atom_v, t);
}

prompt_classifier_actor::behavior_type
prompt_classifier_state::make_behavior() {
  return {
      [this](classify_atom, ticket t, const classify_request_ref& request)
          -> caf::result<classification> {
        if (failure_) return to_caf(*failure_);
        if (!engine_) {
          return to_caf(down_error(engine_name));
        }
        const auto promise = self_->make_response_promise<classification>();
        take(std::make_shared<pending>(
            pending{t, request, {promise, "the prompt classifier"}}));
        return promise;
      },
      [this](cancel_atom, ticket t) { cancel(t); },
      [this](peers_atom, const peers_ref& now) { meet(now->engine); },
  };
}

prompt_classifier_actor::behavior_type run_prompt_classifier(
    prompt_classifier* self) {
  return self->state.make_behavior();
}

}  // namespace t2
