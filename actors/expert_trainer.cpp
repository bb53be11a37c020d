#include "actors/expert_trainer.hpp"

#include <caf/send.hpp>

#include <chrono>
#include <utility>

#include "actors/common_errors.hpp"
#include "model/language_model.hpp"

namespace t2 {
namespace {

std::function<void(const training_progress&)> reporting(train_sink_ref sink) {
  const auto begin = std::chrono::steady_clock::now();
  return [sink = std::move(sink), begin](const training_progress& now) {
    const std::chrono::duration<double> spent =
        std::chrono::steady_clock::now() - begin;
    sink->part({.step = now.step,
                .steps = now.steps,
                .loss = now.loss,
                .validation_loss = now.validation.loss,
                .gradient_norm = now.gradient_norm,
                .learning_rate = now.learning_rate,
                .seconds = spent.count(),
                .sampled = now.sampled,
                .reward = now.reward,
                .kl = now.divergence,
                .length = now.length,
                .validation_reward = now.validation.reward,
                .best_validation_reward = now.best_validation.reward});
  };
}

}  // namespace

expert_trainer_state::~expert_trainer_state() {
  if (assignment_.others && assignment_.others->engine) {
    caf::anon_send(assignment_.others->engine, cancel_atom_v, assignment_.id);
  }
}

auto expert_trainer_state::failing(const char* whom) {
  return [this, whom](const caf::error& e) { end(from_caf(e, whom)); };
}

void expert_trainer_state::begin(const model_card_ref& card) {
  card_ = card;
  if (!assignment_.spec->classify) return train(*assignment_.spec);
  // A classifier learns the labels that pass 1 asks for.
  self_->request(assignment_.others->store, caf::infinite, labels_atom_v,
                 assignment_.labels, card->base.fingerprint)
      .then(
          [this](const label_table_ref& table) {
            training_spec spec = *assignment_.spec;
            spec.labels.clear();
            for (const query_label& label : table->labels)
              spec.labels.push_back(label.description.empty()
                                        ? label.name
                                        : label.name + ": " +
                                              label.description);
            train(std::move(spec));
          },
          failing(store_name));
}

void expert_trainer_state::train(training_spec spec) {
  spec.checkpoint_folder = assignment_.checkpoints;
  auto made = expert_training::make(card_->model, std::move(spec),
                                    reporting(assignment_.sink),
                                    assignment_.rewards);
  if (!made) return end(made.error());
  training_ = std::move(*made);
  learning_ = true;
  self_->request(assignment_.others->engine, caf::infinite, run_atom_v,
                 assignment_.id, engine_job_ref(training_))
      .then([this](bool) { publish(); },
            [this](const caf::error& e) { stopped(e); });
}

void expert_trainer_state::cancel() {
  if (learning_) {
    // Its answer comes when no slice runs any more.
    self_->send(assignment_.others->engine, cancel_atom_v, assignment_.id);
  } else if (!training_) {
    end(error{ec::cancelled, "the training of " + assignment_.spec->name +
                                 " was cancelled before its first step"});
  }  // else it has ended, and is being published
}

void expert_trainer_state::stopped(const caf::error& why) {
  learning_ = false;
  const error said = from_caf(why, engine_name);
  end(said.code == ec::cancelled ? training_->stop() : said);
}

void expert_trainer_state::publish() {
  learning_ = false;
  auto outcome = training_->outcome();
  if (!outcome) return end(outcome.error());
  if (outcome->file.empty()) {
    training_->discard_own_checkpoint();
    // A LoRA adapter lies in its folder; the store keeps experts.
    store_expert_version told;
    told.expert = assignment_.spec->name;
    told.base = card_->base.fingerprint;
    told.provenance_json = std::move(outcome->provenance);
    return end(std::move(told));
  }
  publication p{.base = card_->base,
                .name = assignment_.spec->name,
                .version = {},
                .caller = assignment_.spec->caller};
  p.version.z_safetensors = std::move(outcome->file);
  p.version.norm = std::string(to_string(outcome->trained.norm));
  p.version.targets = std::string(to_string(outcome->trained.targets));
  p.version.provenance_json = std::move(outcome->provenance);
  self_->request(assignment_.others->store, caf::infinite, publish_atom_v,
                 publication_ref(std::make_shared<publication>(std::move(p))))
      .then([this](const expert_version_ref& kept) {
              training_->discard_own_checkpoint();
              end(*kept);
            },
            failing(store_name));
}

void expert_trainer_state::end(result<store_expert_version> outcome) {
  assignment_.sink->finish(std::move(outcome));
  self_->quit();
}

expert_trainer_actor::behavior_type expert_trainer_state::make_behavior(
    training_assignment assignment) {
  assignment_ = std::move(assignment);
  return {
      [this](run_atom) {
        self_->request(assignment_.others->engine, caf::infinite, card_atom_v)
            .then([this](const model_card_ref& card) { begin(card); },
                  failing(engine_name));
      },
      [this](cancel_atom) { cancel(); },
  };
}

expert_trainer_actor::behavior_type run_expert_trainer(
    expert_trainer* self, training_assignment assignment) {
  return self->state.make_behavior(std::move(assignment));
}

}  // namespace t2
