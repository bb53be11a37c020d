#include "adaptation/expert_training.hpp"

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "adaptation/adamw.hpp"
#include "adaptation/svf.hpp"
#include "adaptation/training_checkpoint.hpp"
#include "adaptation/training_options.hpp"
#include "config/sha256.hpp"
#include "model/language_model.hpp"
#include "model/svf_training.hpp"

namespace t2 {
namespace {

// A slice is one pass over about so many tokens. A constant, not a measured
// time: sums are cut at the same places in every run.
constexpr std::int64_t slice_tokens = 512;

}  // namespace

struct expert_training::state {
  std::shared_ptr<language_model> model;
  training_spec spec;
  training_options options;
  std::shared_ptr<const svf_layout> layout;
  std::unique_ptr<training_objective> objective;
  std::unique_ptr<svf_trainer_model> trainer;
  std::function<void(const training_progress&)> on_progress;

  enum class phase { open, validate, learn, done };
  phase at = phase::open;
  training_checkpoint saved;  // where the run stands
  delta_ref current;
  std::int64_t resumed_from = 0;
  training_progress progress;
  std::optional<error> failure;

  // Of the step or validation under way.
  std::vector<training_row> rows;
  std::size_t next_row = 0;
  double loss = 0;
  at::Tensor gradient;  // of d

  void open();
  void learn();
  void validate();
  void end_step();
  void end_validation();
  void go_on();
  bool use_parameter();
  void begin_validation();
  std::span<const training_row> slice(std::span<const training_row> of);
  void report() const {
    if (on_progress) on_progress(progress);
  }
  void fail(error why) {
    failure = std::move(why);
    at = phase::done;
  }
  result<trained_expert> conclude() const;
};

// The next rows of about slice_tokens.
std::span<const training_row> expert_training::state::slice(
    std::span<const training_row> of) {
  const std::size_t begin = next_row;
  std::int64_t tokens = 0;
  while (next_row < of.size()) {
    tokens += static_cast<std::int64_t>(of[next_row].tokens.size());
    if (next_row > begin && tokens > slice_tokens) break;
    ++next_row;
  }
  return of.subspan(begin, next_row - begin);
}

// Puts the parameter into the model; false where it makes no expert.
bool expert_training::state::use_parameter() {
  const at::Tensor z =
      z_from_parameter(saved.optimiser.parameter, options.parametrisation);
  auto d = delta_from_z(z, trainer->singular_values(), options.norm, *layout);
  if (!d) {
    fail({d.error().code, "training diverged at step " +
                              std::to_string(saved.step) + ": " +
                              d.error().message});
    return false;
  }
  trainer->set_delta(*d);
  auto delta = singular_delta::make(layout, *d);
  if (!delta) {
    fail(delta.error());
    return false;
  }
  current = *std::move(delta);
  return true;
}

void expert_training::state::open() {
  auto made = svf_trainer_model::make(model, layout);
  if (!made) return fail(made.error());
  trainer = *std::move(made);
  if (!use_parameter()) return;
  progress.step = saved.step;
  if (resumed_from == 0)
    begin_validation();
  else
    go_on();
}

void expert_training::state::begin_validation() {
  at = phase::validate;
  next_row = 0;
  loss = 0;
}

void expert_training::state::validate() {
  const auto& held_out = objective->validation();
  if (next_row < held_out.size()) {
    const auto part = trainer->loss(slice(held_out), slice_tokens);
    if (!part) return fail(part.error());
    loss += part->loss;
  }
  if (next_row == held_out.size()) end_validation();
}

void expert_training::state::end_validation() {
  const bool measured = !objective->validation().empty();
  if (measured) {
    if (!std::isfinite(loss))
      return fail({ec::internal, "training diverged at step " +
                                     std::to_string(saved.step) +
                                     ": the validation loss is not finite"});
    saved.last_validation = loss;
    if (saved.step == 0) saved.base_loss = loss;
  }
  // Without validation the last step is the best.
  if (saved.step == 0 || !measured || loss < saved.best_loss) {
    saved.best = saved.optimiser.parameter.clone();
    saved.best_step = saved.step;
    saved.best_loss = measured ? loss : 0;
  }
  progress.validation_loss = saved.last_validation;
  progress.best_validation_loss = saved.best_loss;
  report();
  go_on();
}

// After a step and what belongs to it: saves, and begins the next.
void expert_training::state::go_on() {
  const bool last = saved.step == spec.steps;
  const bool due = last || saved.step % spec.checkpoint_every == 0;
  if (due && !spec.checkpoint.empty() && saved.step > resumed_from)
    if (auto written = write_training_checkpoint(spec.checkpoint, saved);
        !written)
      return fail(written.error());
  if (last) {
    at = phase::done;
    return;
  }
  auto drawn = objective->rows(saved.step, current);
  if (!drawn) return fail(drawn.error());
  rows = *std::move(drawn);
  next_row = 0;
  loss = 0;
  gradient = at::zeros({layout->total()}, at::kFloat);
  at = phase::learn;
}

void expert_training::state::learn() {
  const auto part = trainer->loss_and_gradient(slice(rows), slice_tokens);
  if (!part) return fail(part.error());
  loss += part->loss;
  gradient.add_(part->grad_d);
  if (next_row == rows.size()) end_step();
}

void expert_training::state::end_step() {
  at::Tensor& p = saved.optimiser.parameter;
  const at::Tensor z = z_from_parameter(p, options.parametrisation);
  at::Tensor of_p = gradient_of_parameter(
      gradient_of_z(gradient, z, trainer->singular_values(), options.norm,
                    *layout),
      p, options.parametrisation);
  const double norm = clip_gradient(of_p, spec.clip);
  if (!std::isfinite(norm) || !std::isfinite(loss))
    return fail({ec::internal, "training diverged at step " +
                                   std::to_string(saved.step) +
                                   ": the gradient is not finite"});
  const double rate = learning_rate_at(saved.step, spec.steps,
                                       spec.learning_rate, spec.warmup);
  adamw_step(saved.optimiser, of_p, rate,
             {.weight_decay = spec.weight_decay,
              .decay_towards = base_parameter(options.parametrisation)});
  ++saved.step;
  saved.last_loss = loss;
  progress.step = saved.step;
  progress.loss = loss;
  progress.gradient_norm = norm;
  progress.learning_rate = rate;
  if (!use_parameter()) return;
  report();
  if (saved.step % spec.validate_every == 0 || saved.step == spec.steps)
    begin_validation();
  else
    go_on();
}

result<trained_expert> expert_training::state::conclude() const {
  using nlohmann::json;
  json options_json = json::parse(canonical_json(spec));
  json metrics{{"best_step", saved.best_step}, {"last_loss", saved.last_loss}};
  if (!objective->validation().empty()) {
    metrics["base_validation_loss"] = saved.base_loss;
    metrics["best_validation_loss"] = saved.best_loss;
  }
  trained_expert out;
  out.provenance = json{{"objective", spec.objective},
                        {"data_sha256", objective->data_hash()},
                        {"options", options_json},
                        {"seed", spec.seed},
                        {"metrics", metrics}}
                       .dump();
  out.trained = {.name = spec.name,
                 .version = 0,
                 .base = model->fingerprint(),
                 .norm = options.norm,
                 .targets = options.targets,
                 .z = z_from_parameter(saved.best, options.parametrisation)
                          .clone(),
                 .provenance = out.provenance};
  auto file = serialise_expert(out.trained, model->config());
  if (!file) return file.error();
  out.file = *std::move(file);
  out.best_step = saved.best_step;
  out.base_validation_loss = saved.base_loss;
  out.best_validation_loss = saved.best_loss;
  return out;
}

expert_training::expert_training() : state_(std::make_unique<state>()) {}
expert_training::~expert_training() = default;

result<std::shared_ptr<expert_training>> expert_training::make(
    std::shared_ptr<language_model> model, training_spec spec,
    std::function<void(const training_progress&)> on_progress) {
  const auto options = check(spec);
  if (!options) return options.error();
  auto objective = make_objective(*model, spec);
  if (!objective) return objective.error();
  auto training = std::shared_ptr<expert_training>{new expert_training};
  state& s = *training->state_;
  s.model = std::move(model);
  s.spec = std::move(spec);
  s.options = *options;
  s.objective = *std::move(objective);
  s.on_progress = std::move(on_progress);
  s.layout =
      std::make_shared<svf_layout>(s.model->config(), options->targets);
  s.progress.steps = s.spec.steps;

  const std::string identity = sha256_hex(
      s.model->fingerprint() + "\n" + s.objective->data_hash() + "\n" +
      canonical_json(s.spec));
  if (!s.spec.checkpoint.empty()) {
    auto found = read_training_checkpoint(s.spec.checkpoint, identity,
                                          s.layout->total());
    if (!found) return found.error();
    if (*found) {
      s.saved = **std::move(found);
      s.resumed_from = s.saved.step;
      s.progress.step = s.saved.step;
      s.progress.loss = s.saved.last_loss;
      s.progress.validation_loss = s.saved.last_validation;
      s.progress.best_validation_loss = s.saved.best_loss;
      return training;
    }
  }
  const double start = base_parameter(options->parametrisation);
  s.saved.identity = identity;
  s.saved.optimiser =
      make_adamw_state(at::full({s.layout->total()}, start, at::kFloat));
  s.saved.best = s.saved.optimiser.parameter.clone();
  return training;
}

bool expert_training::advance(language_model&) {
  state& s = *state_;
  switch (s.at) {
    case state::phase::open: s.open(); break;
    case state::phase::validate: s.validate(); break;
    case state::phase::learn: s.learn(); break;
    case state::phase::done: break;
  }
  return s.at != state::phase::done;
}

const training_progress& expert_training::progress() const {
  return state_->progress;
}

std::int64_t expert_training::resumed_from() const {
  return state_->resumed_from;
}

result<trained_expert> expert_training::outcome() const {
  const state& s = *state_;
  if (s.failure) return *s.failure;
  if (s.at != state::phase::done)
    return error{ec::cancelled, "training stopped at step " +
                                    std::to_string(s.saved.step) + " of " +
                                    std::to_string(s.spec.steps)};
  return s.conclude();
}

}  // namespace t2
