#include "actors/supervisor.hpp"

#include <caf/send.hpp>

#include <memory>
#include <utility>

#include "config/logging.hpp"

namespace t2 {
namespace {

constexpr std::chrono::seconds health_patience{2};

}  // namespace

std::string supervisor_state::name_of(role r) {
  switch (r) {
    case role::store: return "expert_store";
    case role::engine: return "generation_engine";
    case role::classifier: return "prompt_classifier";
    case role::dispatcher: return "task_dispatcher";
  }
  return "unknown";
}

void supervisor_state::start(role r) {
  caf::actor_system& system = self_->system();
  switch (r) {
    case role::store: now_.store = options_.spawn_store(system); break;
    case role::engine: now_.engine = options_.spawn_engine(system); break;
    case role::classifier:
      now_.classifier = options_.spawn_classifier(system);
      break;
    case role::dispatcher:
      now_.dispatcher = options_.spawn_dispatcher(system);
      break;
  }
  self_->monitor(address_of(r));
}

caf::actor_addr supervisor_state::address_of(role r) const {
  switch (r) {
    case role::store: return now_.store.address();
    case role::engine: return now_.engine.address();
    case role::classifier: return now_.classifier.address();
    case role::dispatcher: return now_.dispatcher.address();
  }
  return {};
}

void supervisor_state::vacate(role r) {
  switch (r) {
    case role::store: now_.store = nullptr; break;
    case role::engine: now_.engine = nullptr; break;
    case role::classifier: now_.classifier = nullptr; break;
    case role::dispatcher: now_.dispatcher = nullptr; break;
  }
}

void supervisor_state::tell_peers() {
  const auto everybody = std::make_shared<const peers>(now_);
  if (now_.classifier) self_->send(now_.classifier, peers_atom_v, everybody);
  if (now_.dispatcher) self_->send(now_.dispatcher, peers_atom_v, everybody);
  if (front_) self_->send(front_, peers_atom_v, everybody);
}

void supervisor_state::watch_model() {
  model_state_ = "loading";
  card_ = nullptr;
  const auto engine = now_.engine;
  self_->request(engine, caf::infinite, card_atom_v)
      .then([this, engine](const model_card_ref& card) {
              if (now_.engine != engine) return;
              card_ = card;
              model_state_ = "ready";
            },
            [this, engine](const caf::error& e) {
              if (now_.engine != engine || e.category() != caf::atom("t2")) {
                return;  // it has died: down() sees to it
              }
              model_state_ =
                  "failed: " + from_caf(e, "the generation engine").message;
              log(log_level::error, model_state_);
            });
}

void supervisor_state::down(const caf::down_msg& message) {
  for (const role r : roles) {
    if (address_of(r) && message.source == address_of(r)) {
      return child_down(r, message.reason);
    }
  }
  std::erase_if(trainers_, [&](const auto& entry) {
    return entry.second.address() == message.source;
  });
  close_when_idle();
}

void supervisor_state::child_down(role r, const caf::error& reason) {
  vacate(r);
  if (closing_) return close_next();
  if (r == role::dispatcher && stopping_) {
    drained_ = true;
    return close_when_idle();
  }
  const std::string why = from_caf(reason, name_of(r)).message;
  log(log_level::error, name_of(r) + " has ended: " + why);
  if (r == role::engine) model_state_ = "loading";
  if (r == role::engine && from_caf(reason, name_of(r)).code == ec::corrupt) {
    // Its files have changed while it ran: nobody knows what is in them now.
    now_.failed = error{ec::unavailable, why};
    damaged_ = true;
    return tell_peers();
  }
  auto policy = policies_.find(r);
  const auto delay = policy->second.after_failure(self_->clock().now());
  if (!delay) {
    now_.failed = error{ec::unavailable, name_of(r) +
                                             " has failed too often; last: " +
                                             why};
    log(log_level::error, now_.failed->message);
  } else if (!stopping_) {
    self_->delayed_send(self_, *delay, restart_atom_v, name_of(r));
  }
  tell_peers();
}

void supervisor_state::health(kept_promise<health_report> promise) {
  health_report report;
  report.ready = model_state_ == "ready" && !now_.failed && !stopping_;
  report.state = stopping_      ? "stopping"
                 : now_.failed  ? "failed: " + now_.failed->message
                                : model_state_;
  if (card_) {
    report.model = card_->base.name;
    report.fingerprint = card_->base.fingerprint;
    report.device = card_->device;
    report.dtype = card_->dtype;
    report.chat_template = card_->chat_template;
  }
  report.damaged = damaged_;
  report.trainings = static_cast<std::int64_t>(trainers_.size());
  report.restarts = restarts_;
  if (!now_.dispatcher) return promise.keep(report);
  const auto kept =
      std::make_shared<kept_promise<health_report>>(std::move(promise));
  self_->request(now_.dispatcher, health_patience, health_atom_v)
      .then(
          [kept, report](const dispatcher_load& load) mutable {
            report.queued = load.queued;
            report.running = load.running;
            report.searches = load.searches;
            report.answered = load.answered;
            report.adaptations_computed = load.adaptations_computed;
            report.adaptations_reused = load.adaptations_reused;
            kept->keep(report);
          },
          [kept, report](const caf::error&) { kept->keep(report); });
}

void supervisor_state::train(ticket t, const training_spec_ref& spec,
                             const train_sink_ref& sink) {
  if (stopping_) {
    sink->finish(error{ec::unavailable, "t2 is stopping"});
  } else if (now_.failed) {
    sink->finish(*now_.failed);
  } else if (trainers_.size() >= options_.trainings) {
    sink->finish(error{ec::busy, std::to_string(trainers_.size()) +
                                     " trainings are under way; try later"});
  } else if (!now_.engine || !now_.store) {
    sink->finish(error{ec::unavailable, "a part of t2 is being restarted"});
  } else {
    const auto trainer = options_.spawn_trainer(
        self_->system(), {.id = t,
                          .spec = spec,
                          .others = std::make_shared<const peers>(now_),
                          .sink = sink});
    self_->monitor(trainer);
    trainers_[t] = trainer;
    self_->send(trainer, run_atom_v);
  }
}

void supervisor_state::stop(std::chrono::milliseconds grace,
                            kept_promise<bool> promise) {
  stopped_.push_back(std::move(promise));
  if (std::exchange(stopping_, true)) return;
  if (now_.dispatcher) {
    const auto drained = [this] {
      drained_ = true;
      close_when_idle();
    };
    self_->request(now_.dispatcher, caf::infinite, drain_atom_v)
        .then([drained](bool) { drained(); },
              [drained](const caf::error&) { drained(); });
  } else {
    drained_ = true;
  }
  self_->delayed_send(self_, grace, tick_atom_v);
  close_when_idle();
}

void supervisor_state::cancel_all() {
  if (closing_) return;
  if (now_.dispatcher) self_->send(now_.dispatcher, cancel_all_atom_v);
  for (const auto& [t, trainer] : trainers_) {
    self_->send(trainer, cancel_atom_v);
  }
}

void supervisor_state::close_when_idle() {
  if (!stopping_ || closing_ || !drained_ || !trainers_.empty()) return;
  closing_ = true;
  close_next();
}

void supervisor_state::close_next() {
  for (const role r : {role::dispatcher, role::classifier, role::engine,
                       role::store}) {
    if (!address_of(r)) continue;
    caf::anon_send_exit(address_of(r), caf::exit_reason::user_shutdown);
    return;  // its down message brings us back
  }
  for (auto& promise : std::exchange(stopped_, {})) promise.keep(true);
  if (front_) self_->send_exit(front_, caf::exit_reason::user_shutdown);
  self_->quit();
}

supervisor_actor::behavior_type supervisor_state::make_behavior(
    supervision_options options, front_desk_actor front) {
  options_ = std::move(options);
  front_ = std::move(front);
  now_.supervisor = self_;
  self_->set_down_handler([this](const caf::down_msg& m) { down(m); });
  for (const role r : roles) {
    policies_.emplace(r, restart_policy(options_.limits));
    start(r);
  }
  watch_model();
  tell_peers();
  return {
      [this](peers_atom) -> peers_ref {
        return std::make_shared<const peers>(now_);
      },
      [this](health_atom) -> caf::result<health_report> {
        const auto promise = self_->make_response_promise<health_report>();
        health({promise, "the supervisor"});
        return promise;
      },
      [this](train_atom, ticket t, const training_spec_ref& spec,
             const train_sink_ref& sink) { train(t, spec, sink); },
      [this](cancel_atom, ticket t) {
        const auto trainer = trainers_.find(t);
        if (trainer != trainers_.end()) {
          self_->send(trainer->second, cancel_atom_v);
        }
      },
      [this](stop_atom, std::int64_t grace) -> caf::result<bool> {
        const auto promise = self_->make_response_promise<bool>();
        stop(std::chrono::milliseconds(grace), {promise, "the supervisor"});
        return promise;
      },
      [this](restart_atom, const std::string& child) {
        if (stopping_) return;
        for (const role r : roles) {
          if (name_of(r) != child || address_of(r)) continue;
          ++restarts_;
          log(log_level::warn, child + " is started again");
          start(r);
          if (r == role::engine) watch_model();
        }
        tell_peers();
      },
      [this](tick_atom) { cancel_all(); },
  };
}

supervisor_actor::behavior_type run_supervisor(supervisor* self,
                                               supervision_options options,
                                               front_desk_actor front) {
  return self->state.make_behavior(std::move(options), std::move(front));
}

}  // namespace t2
