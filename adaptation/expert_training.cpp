#include "adaptation/expert_training.hpp"

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>

#include "adaptation/adamw.hpp"
#include "adaptation/rollout_round.hpp"
#include "adaptation/svf.hpp"
#include "adaptation/trainable_parameters.hpp"
#include "adaptation/training_options.hpp"
#include "config/sha256.hpp"
#include "model/language_model.hpp"
#include "model/lora_adapter.hpp"
#include "model/trainer_model.hpp"

namespace t2 {
namespace {

// A slice is one pass over about so many tokens. A constant, not a measured
// time: sums are cut at the same places in every run.
constexpr std::int64_t slice_tokens = 512;

double mean(std::span<const double> values) {
  double sum = 0;
  for (const double x : values) sum += x;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

/// That later steps do not change.
training_checkpoint copy_of(const training_checkpoint& c) {
  training_checkpoint copy = c;
  copy.optimiser.parameter = c.optimiser.parameter.clone();
  copy.optimiser.first_moment = c.optimiser.first_moment.clone();
  copy.optimiser.second_moment = c.optimiser.second_moment.clone();
  return copy;
}

}  // namespace

struct expert_training::state {
  std::shared_ptr<language_model> model;
  training_spec spec;
  training_options options;
  std::unique_ptr<trainable_parameters> parameters;
  std::unique_ptr<training_objective> objective;
  std::unique_ptr<trainer_model> trainer;
  struct test_set {
    std::string name;
    std::size_t begin = 0, count = 0;  // in test_questions
    question_set questions = {};
  };
  std::vector<question> test_questions;
  std::vector<test_set> test_sets;
  std::function<void(const training_progress&)> on_progress;

  enum class phase {
    open, gather_validation, validate, gather_step, learn, test_base, test_best,
    done
  };
  phase at = phase::open;
  training_checkpoint saved;  // where the run stands
  // A step that is validated is done with its validation: until then a run that
  // is stopped goes on from before the step.
  std::optional<training_checkpoint> before_step;
  bool own_checkpoint = false;  // spec.checkpoint was not asked for
  std::int64_t resumed_from = 0;
  training_progress progress;
  std::optional<error> failure;
  std::map<std::string, test_result> tested;

  // Of the step, validation or test under way.
  gathered_rows gathered;
  std::size_t next_row = 0;
  double loss = 0, divergence = 0;
  at::Tensor gradient;  // of the model's values
  std::optional<rollout_round> round;
  std::vector<double> base_rewards;
  std::vector<std::string> base_answers;

  result<void> restore(const std::string& identity);
  result<void> write(const training_checkpoint& stands) const;
  error stop();
  void open();
  void gather(phase next);
  void learn();
  void validate();
  void test();
  void end_step();
  void end_validation();
  void go_on();
  void conclude_run();
  bool use(const at::Tensor& parameter);
  void begin_validation();
  std::span<const training_row> slice();
  void report() const {
    if (on_progress) on_progress(progress);
  }
  void fail(error why) {
    failure = std::move(why);
    at = phase::done;
  }
  void diverged(const std::string& what) {
    fail({ec::internal, "training diverged at step " +
                            std::to_string(saved.step) + ": " + what});
  }
  std::string provenance() const;
  result<trained_expert> conclude() const;
};

// The next rows of about slice_tokens.
std::span<const training_row> expert_training::state::slice() {
  const std::span<const training_row> of = gathered.rows;
  const std::size_t begin = next_row;
  std::int64_t tokens = 0;
  while (next_row < of.size()) {
    tokens += static_cast<std::int64_t>(of[next_row].tokens.size());
    if (next_row > begin && tokens > slice_tokens) break;
    ++next_row;
  }
  return of.subspan(begin, next_row - begin);
}

// Puts a parameter into the model; false where it makes none.
bool expert_training::state::use(const at::Tensor& parameter) {
  const auto values = parameters->values(parameter);
  if (!values) {
    diverged(values.error().message);
    return false;
  }
  trainer->set(*values);
  return true;
}

void expert_training::state::open() {
  auto linears = parameters->open(*model);
  if (!linears) return fail(linears.error());
  trainer = std::make_unique<trainer_model>(model, *std::move(linears),
                                            options.direction);
  if (!use(saved.optimiser.parameter)) return;
  progress.step = saved.step;
  if (resumed_from == 0)
    begin_validation();
  else
    go_on();
}

void expert_training::state::begin_validation() {
  if (auto begun = objective->begin_validation(); !begun)
    return fail(begun.error());
  at = phase::gather_validation;
}

void expert_training::state::gather(phase next) {
  auto found = objective->gather(*model, trainer->linears());
  if (!found) return fail(found.error());
  if (!*found) return;
  gathered = **std::move(found);
  next_row = 0;
  loss = divergence = 0;
  gradient = at::zeros({parameters->size()}, at::kFloat);
  at = next;
}

void expert_training::state::validate() {
  if (next_row < gathered.rows.size()) {
    const auto part = trainer->loss(slice(), slice_tokens);
    if (!part) return fail(part.error());
    loss += part->loss;
  }
  if (next_row == gathered.rows.size()) end_validation();
}

void expert_training::state::end_validation() {
  const bool measured = objective->validates();
  const validation_score score{gathered.reward, loss};
  if (measured) {
    if (!std::isfinite(loss))
      return diverged("the validation loss is not finite");
    saved.last = score;
    if (saved.step == 0) {
      saved.base = score;
      saved.base_report = gathered.report;
    }
  }
  // Without validation the last step is the best.
  if (saved.step == 0 || !measured || score.better_than(saved.best_score)) {
    saved.best = saved.optimiser.parameter.clone();
    saved.best_step = saved.step;
    saved.best_score = measured ? score : validation_score{};
    saved.best_report = gathered.report;
  }
  progress.validation = saved.last;
  progress.best_validation = saved.best_score;
  report();
  go_on();
}

// After a step and what belongs to it: saves, and begins the next.
void expert_training::state::go_on() {
  const bool stop =
      spec.patience > 0 && objective->validates() &&
      saved.step % spec.validate_every == 0 &&
      saved.step - saved.best_step >= spec.patience * spec.validate_every;
  const bool last = saved.step == spec.steps || stop;
  const bool due = last || saved.step % spec.checkpoint_every == 0;
  before_step.reset();
  if (due && !spec.checkpoint.empty() && saved.step > resumed_from)
    if (auto written = write(saved); !written) return fail(written.error());
  if (last) {
    if (test_questions.empty()) return conclude_run();
    if (use(parameters->initial())) at = phase::test_base;
    return;
  }
  if (auto begun = objective->begin_step(saved.step); !begun)
    return fail(begun.error());
  at = phase::gather_step;
}

void expert_training::state::learn() {
  if (next_row < gathered.rows.size()) {
    const auto rows = slice();
    const auto part = trainer->loss_and_gradient(rows, slice_tokens);
    if (!part) return fail(part.error());
    loss += part->loss;
    for (const double kl : part->divergences) divergence += kl;
    gradient.add_(part->gradient);
  }
  if (next_row == gathered.rows.size()) end_step();
}

void expert_training::state::end_step() {
  at::Tensor& p = saved.optimiser.parameter;
  at::Tensor of_p = parameters->gradient(gradient, p);
  const double norm = clip_gradient(of_p, spec.clip);
  if (!std::isfinite(norm) || !std::isfinite(loss))
    return diverged("the gradient is not finite");
  const double rate = learning_rate_at(saved.step, spec.steps,
                                       spec.learning_rate, spec.warmup);
  const bool validates = (saved.step + 1) % spec.validate_every == 0 ||
                         saved.step + 1 == spec.steps;
  if (validates) before_step = copy_of(saved);
  adamw_step(saved.optimiser, of_p, rate,
             {.weight_decay = spec.weight_decay,
              .decay_towards = parameters->decay_towards()});
  ++saved.step;
  saved.last_loss = loss;
  progress.step = saved.step;
  progress.loss = loss;
  progress.gradient_norm = norm;
  progress.learning_rate = rate;
  if (gathered.answers > 0) {
    progress.reward = gathered.reward;
    progress.length = gathered.length;
    progress.divergence = divergence / static_cast<double>(gathered.answers);
  }
  if (!use(p)) return;
  report();
  if (validates)
    begin_validation();
  else
    go_on();
}

result<void> expert_training::state::write(
    const training_checkpoint& stands) const {
  if (own_checkpoint) {
    // What cannot be made is told by the write.
    std::error_code ignored;
    const auto& folder = spec.checkpoint_folder;
    if (std::filesystem::create_directories(folder, ignored))
      std::filesystem::permissions(folder, std::filesystem::perms::owner_all,
                                   ignored);
  }
  return write_training_checkpoint(spec.checkpoint, stands);
}

error expert_training::state::stop() {
  const training_checkpoint& stands = before_step ? *before_step : saved;
  const std::string where =
      "the training of " + spec.name + " stopped at step " +
      std::to_string(stands.step) + " of " + std::to_string(spec.steps);
  if (stands.step == 0)
    return {ec::cancelled, where + ": it begins again from nothing"};
  if (spec.checkpoint.empty())
    return {ec::cancelled, where + ": it has no checkpoint and begins again"};
  if (auto written = write(stands); !written)
    return {written.error().code,
            where + " and is lost: " + written.error().message};
  return {ec::cancelled, where + "; the same training goes on from " +
                             spec.checkpoint.string()};
}

// Greedy answers to the test questions, of the base and then of the best step.
void expert_training::state::test() {
  if (!round) {
    std::vector<const question*> asked;
    for (const question& q : test_questions) asked.push_back(&q);
    auto made = rollout_round::make(
        *model, std::move(asked),
        {.max_tokens = static_cast<std::int32_t>(spec.max_answer_tokens)}, 0);
    if (!made) return fail(made.error());
    round.emplace(*std::move(made));
  }
  const bool of_base = at == phase::test_base;
  const auto more = round->advance(
      *model, of_base ? nullptr : &trainer->linears().dense());
  if (!more) return fail(more.error());
  if (*more) return;
  const auto rewards = round->rewards();
  const auto answers = round->answers();
  round.reset();
  if (of_base) {
    base_rewards = rewards;
    base_answers = answers;
    if (use(saved.best)) at = phase::test_best;
    return;
  }
  for (const auto& [name, begin, count, questions] : test_sets) {
    const auto part = [&](const auto& of) {
      return std::span{of}.subspan(begin, count);
    };
    const auto& prompts = questions.prompts();
    const auto before = prompts.means(part(base_rewards));
    const auto after = prompts.means(part(rewards));
    std::vector<double> gained;
    for (std::size_t i = 0; i < after.size(); ++i)
      gained.push_back(after[i] - before[i]);
    tested[name] = {
        .questions = count,
        .base_reward = mean(before),
        .reward = mean(after),
        .difference = interval_of(gained),
        .base_answers =
            questions.report(part(base_answers), part(base_rewards)),
        .answers = questions.report(part(answers), part(rewards))};
  }
  conclude_run();
}

void expert_training::state::conclude_run() {
  at = phase::done;
  if (!options.lora) return;
  const lora_layout layout{model->config(), *options.lora};
  if (auto written = write_lora_adapter(spec.output, layout, saved.best,
                                        model->name(), provenance());
      !written)
    fail(written.error());
}

std::string expert_training::state::provenance() const {
  using nlohmann::json;
  json metrics{{"best_step", saved.best_step},
               {"steps", saved.step},
               {"last_loss", saved.last_loss}};
  if (objective->validates()) {
    const bool rewarded = spec.objective == "reinforce";
    const auto put = [&](const char* name, const validation_score& score) {
      const std::string stem = std::string{name} + "_validation_";
      metrics[stem + (rewarded ? "divergence" : "loss")] = score.loss;
      if (rewarded) metrics[stem + "reward"] = score.reward;
    };
    put("base", saved.base);
    put("best", saved.best_score);
    const auto put_report = [&](const char* name, const std::string& report) {
      if (!report.empty()) metrics[name] = json::parse(report);
    };
    put_report("base_validation_answers", saved.base_report);
    put_report("best_validation_answers", saved.best_report);
  }
  for (const auto& [name, found] : tested)
    metrics["tests"][name] = {{"questions", found.questions},
                              {"base_reward", found.base_reward},
                              {"reward", found.reward},
                              {"difference", found.difference.mean},
                              {"low", found.difference.low},
                              {"high", found.difference.high},
                              {"prompts", found.answers.prompts},
                              {"base_answers", found.base_answers.form()},
                              {"answers", found.answers.form()}};
  json out{{"objective", spec.objective},
           {"method", spec.method},
           {"data_sha256", objective->data_hash()},
           {"options",
            json::parse(canonical_json(spec, objective->chat_prompts()))},
           {"seed", spec.seed},
           {"metrics", metrics}};
  // An expert file has a place of its own for them.
  if (options.lora) out["seen_prompts"] = objective->seen().text();
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

result<trained_expert> expert_training::state::conclude() const {
  trained_expert out;
  out.provenance = provenance();
  out.best_step = saved.best_step;
  out.base_validation = saved.base;
  out.best_validation = saved.best_score;
  out.tests = tested;
  if (options.lora) return out;
  out.trained = {.name = spec.name,
                 .version = 0,
                 .base = model->fingerprint(),
                 .norm = options.norm,
                 .targets = options.targets,
                 .z = z_from_parameter(saved.best, options.parametrisation)
                          .clone(),
                 .provenance = out.provenance,
                 .seen = objective->seen()};
  auto file = serialise_expert(out.trained, model->config());
  if (!file) return file.error();
  out.file = *std::move(file);
  return out;
}

expert_training::expert_training() : state_(std::make_unique<state>()) {}
expert_training::~expert_training() = default;

result<std::shared_ptr<expert_training>> expert_training::make(
    std::shared_ptr<language_model> model, training_spec spec,
    std::function<void(const training_progress&)> on_progress,
    const reward_options& rewards) {
  const auto options = check(spec);
  if (!options) return options.error();
  const auto has = options->lora
                       ? check_lora_targets(model->config(), *options->lora)
                       : options->targets.check(model->config());
  if (!has) return has.error();
  auto objective = make_objective(model, spec, rewards);
  if (!objective) return objective.error();
  auto training = std::shared_ptr<expert_training>{new expert_training};
  state& s = *training->state_;
  s.model = std::move(model);
  s.spec = std::move(spec);
  s.options = *options;
  s.objective = *std::move(objective);
  s.on_progress = std::move(on_progress);
  s.parameters = make_trainable_parameters(s.model->config(), s.options,
                                           s.spec.seed);
  s.progress.steps = s.spec.steps;
  s.progress.sampled = s.spec.objective == "reinforce";
  for (const auto& [name, data] : s.spec.tests) {
    auto examples = parse_examples(data, "test " + name);
    if (!examples) return examples.error();
    if (auto fine = refuse_seen(*examples, s.objective->seen(),
                                "the training of " + s.spec.name);
        !fine)
      return fine.error();
    auto questions =
        make_questions(s.model, *std::move(examples), s.spec, rewards);
    if (!questions) return questions.error();
    s.test_sets.push_back({name, s.test_questions.size(), questions->size()});
    std::ranges::move(*questions, std::back_inserter(s.test_questions));
  }
  for (auto& one : s.test_sets)
    one.questions = question_set{
        std::span{s.test_questions}.subspan(one.begin, one.count)};

  const std::string identity = sha256_hex(
      s.model->fingerprint() + "\n" + s.objective->data_hash() + "\n" +
      canonical_json(s.spec, s.objective->chat_prompts()));
  if (s.spec.checkpoint.empty() && !s.spec.checkpoint_folder.empty()) {
    s.own_checkpoint = true;
    s.spec.checkpoint =
        s.spec.checkpoint_folder /
        (sha256_hex(s.spec.name + "\n" + identity).substr(0, 32) +
         ".checkpoint");
  }
  if (auto restored = s.restore(identity); !restored) return restored.error();
  return training;
}

/// Where the checkpoint left it, or the beginning.
result<void> expert_training::state::restore(const std::string& identity) {
  if (!spec.checkpoint.empty()) {
    auto found =
        read_training_checkpoint(spec.checkpoint, identity, parameters->size());
    // Nobody has asked for it, so nobody is told that it is of no use.
    if (!found && !own_checkpoint) return found.error();
    if (found && *found) {
      saved = **std::move(found);
      resumed_from = saved.step;
      progress.step = saved.step;
      progress.loss = saved.last_loss;
      progress.validation = saved.last;
      progress.best_validation = saved.best_score;
      return {};
    }
  }
  saved.identity = identity;
  saved.optimiser = make_adamw_state(parameters->initial());
  saved.best = saved.optimiser.parameter.clone();
  return {};
}

error expert_training::stop() {
  state& s = *state_;
  if (s.failure) return *s.failure;
  s.fail(s.stop());
  return *s.failure;
}

void expert_training::discard_own_checkpoint() {
  std::error_code ignored;
  if (!state_->own_checkpoint) return;
  std::filesystem::remove(state_->spec.checkpoint, ignored);
  // The last one leaves no folder.
  std::filesystem::remove(state_->spec.checkpoint_folder, ignored);
}

bool expert_training::advance(language_model&) {
  state& s = *state_;
  using enum state::phase;
  switch (s.at) {
    case open: s.open(); break;
    case gather_validation: s.gather(validate); break;
    case validate: s.validate(); break;
    case gather_step: s.gather(learn); break;
    case learn: s.learn(); break;
    case test_base:
    case test_best: s.test(); break;
    case done: break;
  }
  return s.at != done;
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
