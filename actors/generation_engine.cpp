#include "actors/generation_engine.hpp"

#include <ATen/Parallel.h>
#include <caf/send.hpp>

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

#include "actors/common_errors.hpp"
#include "actors/kept_promise.hpp"
#include "config/first_line.hpp"
#include "config/logging.hpp"
#include "model/language_model.hpp"
#include "model/mapped_files.hpp"
#include "model/transformer.hpp"

namespace t2 {
namespace {

constexpr std::size_t bytes_per_token = 32;  // texts have about four
constexpr std::chrono::seconds between_looks{1};

/// A callback that keeps the promise of the request being handled.
template <class T>
engine_work::answer_to<T> answering(caf::typed_response_promise<T> promise) {
  auto kept = std::make_shared<kept_promise<T>>(std::move(promise), engine_name);
  return [kept](result<T> outcome) { kept->keep(std::move(outcome)); };
}

}  // namespace

engine_loader make_engine_loader(const model_settings& model,
                                 const engine_settings& settings) {
  return [model, settings]() -> result<loaded_engine> {
    auto loaded = language_model::load({.folder = model.path,
                                        .device = model.device,
                                        .dtype = model.dtype,
                                        .svd_cache = model.svd_cache,
                                        .template_variables =
                                            model.chat_template_kwargs});
    if (!loaded) return loaded.error();
    // Of this thread, where all tensor work is done. Handing the loops of a
    // small model to other cores takes longer than to run them here.
    constexpr std::int64_t worth_sharing = 4'000'000;  // parameters
    const bool small = (*loaded)->config().parameters() < worth_sharing;
    if (settings.threads > 0 || small) {
      at::set_num_threads(
          settings.threads > 0 ? static_cast<int>(settings.threads) : 1);
    }
    (*loaded)->network().set_costs(plan_costs::load_or_measure(
        model.svd_cache, (*loaded)->config(), (*loaded)->dtype(),
        (*loaded)->device()));
    std::unique_ptr<engine> runner;
    try {
      runner = std::make_unique<engine>(
          *loaded,
          engine_options{.kv_bytes = settings.kv_bytes,
                         .dense_bytes = settings.dense_bytes,
                         .delta_rank = settings.delta_rank,
                         .step_tokens = settings.step_tokens,
                         .max_sequences = settings.max_sequences,
                         .max_context = settings.max_context});
    } catch (const std::exception& e) {
      return error{ec::unavailable,
                   "engine.kv_bytes: expected room for " +
                       std::to_string(settings.kv_bytes) +
                       " bytes of keys and values on " + model.device +
                       ", found: " + first_line(e.what())};
    }
    give_back_memory();  // of loading and measuring
    return loaded_engine{std::move(*loaded), std::move(runner)};
  };
}

result<engine*> generation_engine_state::loaded() {
  if (load_) {
    try {
      auto made = std::exchange(load_, nullptr)();
      if (made) {
        model_ = std::move(made->model);
        engine_ = std::move(made->runner);
        engine_->on_background(
            [this](sequence_id id, std::chrono::nanoseconds spent) {
              if (const auto t = work_.ticket_of(id)) meters_->add(*t, spent);
            });
        watch_.emplace(model_);
        look_at_files();  // what has changed while it was loaded
        log(log_level::info, "model " + model_->name() + " is loaded");
      } else {
        failure_ = made.error();
      }
    } catch (const std::exception& e) {
      failure_ = {ec::internal, std::string("loading the model: ") + e.what()};
    }
  }
  if (!engine_) return failure_;
  return engine_.get();
}

model_card_ref generation_engine_state::describe() const {
  const language_model& model = *model_;
  model_card card;
  card.base = base_record(model);
  card.device = model.device().str();
  card.dtype = c10::toString(model.dtype());
  card.chat_template = model.chat().has_value();
  if (model.chat()) card.template_variables = model.chat()->defaults();
  card.max_sequences = engine_->options().max_sequences;
  card.most_text_bytes = bytes_per_token * static_cast<std::size_t>(std::min(
      engine_->options().max_context, model.config().max_positions));
  card.model = model_;
  card.meters = meters_;
  return std::make_shared<const model_card>(std::move(card));
}

void generation_engine_state::wake() {
  if (std::exchange(stepping_, true)) return;
  self_->send(self_, step_atom_v);
}

void generation_engine_state::step() {
  stepping_ = false;
  try {
    work_.open_answers(*engine_);
    const bool mixed = work_.advance_mixing(*model_);
    const bool stepped = engine_->step();
    work_.drop_left_over(*engine_);
    if (mixed || stepped) wake();
  } catch (const std::exception& e) {
    fail({ec::unavailable,
          engine_name + (" failed: " + first_line(e.what()))});
  }
}

void generation_engine_state::look_at_files() {
  if (const auto same = watch_->look(); !same) return fail(same.error());
  self_->delayed_send(self_, between_looks, tick_atom_v);
}

void generation_engine_state::fail(const error& failure) {
  log(log_level::error, failure.message);
  work_.fail_all(failure);
  self_->quit(to_caf(failure));
}

generation_engine_actor::behavior_type generation_engine_state::make_behavior(
    engine_loader load) {
  load_ = std::move(load);
  work_.on_read([weak = caf::weak_actor_ptr{self_->ctrl()}] {
    if (const auto self = weak.lock())
      caf::anon_send(caf::actor_cast<generation_engine_actor>(self),
                     read_atom_v);
  });
  // The first message is its own: the model loads even if nobody asks.
  self_->send(self_, step_atom_v);
  return {
      [this](card_atom) -> caf::result<model_card_ref> {
        if (const auto e = loaded(); !e) return to_caf(e.error());
        return describe();
      },
      [this](answer_atom, ticket t,
             const answer_request_ref& request) -> caf::result<answer_part> {
        const auto e = loaded();
        if (!e) return to_caf(e.error());
        const auto promise = self_->make_response_promise<answer_part>();
        work_.answer(**e, t, request, answering(promise));
        return promise;
      },
      [this](score_atom, ticket t, const scoring_request_ref& request)
          -> caf::result<row_scores_ref> {
        const auto e = loaded();
        if (!e) return to_caf(e.error());
        const auto promise = self_->make_response_promise<row_scores_ref>();
        work_.score(**e, t, *request, answering(promise));
        wake();
        return promise;
      },
      [this](generate_atom, ticket t, const generation_batch_ref& batch)
          -> caf::result<search_answers_ref> {
        const auto e = loaded();
        if (!e) return to_caf(e.error());
        const auto promise = self_->make_response_promise<search_answers_ref>();
        work_.generate(**e, t, *batch, answering(promise));
        wake();
        return promise;
      },
      [this](run_atom, ticket t,
             const engine_job_ref& job) -> caf::result<bool> {
        const auto e = loaded();
        if (!e) return to_caf(e.error());
        const auto promise = self_->make_response_promise<bool>();
        work_.run(**e, t, job, answering(promise));
        wake();
        return promise;
      },
      [this](mix_atom, ticket t,
             const mixing_request_ref& request) -> caf::result<ready_mixture> {
        const auto e = loaded();
        if (!e) return to_caf(e.error());
        const auto promise = self_->make_response_promise<ready_mixture>();
        work_.mix(t, request, answering(promise));
        wake();
        return promise;
      },
      [this](cancel_atom, ticket t) {
        if (engine_) work_.cancel(*engine_, t);
      },
      [this](statistics_atom) -> caf::result<engine_statistics> {
        const auto e = loaded();
        if (!e) return to_caf(e.error());
        return (*e)->statistics();
      },
      [this](step_atom) {
        if (const auto e = loaded(); e) step();
      },
      [this](read_atom) {
        if (engine_) wake();
      },
      [this](tick_atom) {
        if (watch_) look_at_files();
      },
  };
}

generation_engine_actor::behavior_type run_generation_engine(
    generation_engine* self, engine_loader load) {
  return self->state.make_behavior(std::move(load));
}

}  // namespace t2
