#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>

#include "config/progress_bar.hpp"
#include "config/terminal.hpp"
#include "pretraining/pretraining.hpp"
#include "tools/session.hpp"
#include "tools/this_command.hpp"

namespace t2 {
namespace {

std::string digits(double x, const char* format) {
  char text[32];
  std::snprintf(text, sizeof text, format, x);
  return text;
}

pretraining_spec spec_of(const command_arguments& given) {
  const auto text = [&](const char* name) {
    return given.get<std::string>(name);
  };
  const auto count = [&](const char* name) {
    return given.get<std::int64_t>(name);
  };
  const auto real = [&](const char* name) { return given.get<double>(name); };
  return {.data = text("data"),
          .out = text("out"),
          .checkpoint = text("checkpoint"),
          .vocabulary = count("vocabulary"),
          .hidden = count("hidden"),
          .layers = count("layers"),
          .heads = count("heads"),
          .kv_heads = count("kv_heads"),
          .intermediate = count("intermediate"),
          .max_length = count("max_length"),
          .rope_theta = real("rope_theta"),
          .loss = text("loss"),
          .longer = text("longer"),
          .steps = count("steps"),
          .batch = count("batch"),
          .learning_rate = real("learning_rate"),
          .warmup = real("warmup"),
          .weight_decay = real("weight_decay"),
          .beta2 = real("beta2"),
          .clip = real("clip"),
          .validation = real("validation"),
          .validate_every = count("validate_every"),
          .checkpoint_every = count("checkpoint_every"),
          .log_every = count("log_every"),
          .seed = count("seed"),
          .threads = count("threads"),
          .compute = text("compute"),
          .dtype = text("dtype")};
}

std::string note_of(const pretraining_progress& p) {
  std::string note = "loss " + digits(p.loss, "%.4f");
  if (p.validated) note += ", validation " + digits(p.validation_loss, "%.4f");
  return note + ", " + digits(p.tokens_per_second, "%.0f") + " tokens/s";
}

std::string remaining(const pretraining_progress& p) {
  const double a_step = p.seconds / static_cast<double>(p.step);
  const auto seconds = static_cast<long>(
      std::lround(a_step * static_cast<double>(p.steps - p.step)));
  return std::to_string(seconds / 60) + " min " +
         std::to_string(seconds % 60) + " s left";
}

/// OpenMP's threads spin between two loops; where another program wants the
/// cores, that makes training several times slower. The library reads its
/// policy before main begins, so the process starts itself once more.
void wait_without_spinning() {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  std::ifstream in{"/proc/self/cmdline", std::ios::binary};
  std::vector<std::string> arguments;
  for (std::string one; std::getline(in, one, '\0');)
    arguments.push_back(one);
  std::vector<char*> pointers;
  for (auto& one : arguments) pointers.push_back(one.data());
  pointers.push_back(nullptr);
  ::setenv("OMP_WAIT_POLICY", "passive", 1);
  // Where it cannot, training is slower at worst.
  if (!arguments.empty()) ::execv("/proc/self/exe", pointers.data());
}

result<exit_code> pretrain(session& here) {
  wait_without_spinning();
  const auto made = pretraining::make(spec_of(here.arguments()));
  if (!made) return made.error();
  auto& run = **made;
  if (!here.json()) {
    here.tell(std::to_string(run.parameters()) + " parameters, " +
              std::to_string(run.documents()) + " documents of " +
              std::to_string(run.tokens()) + " tokens, " +
              std::to_string(run.held_out()) + " held out, " +
              std::to_string(run.cut()) + " too long, vocabulary " +
              std::to_string(run.vocabulary()) + ", " + run.compute());
    if (run.resumed_from() > 0)
      here.tell("goes on from step " + std::to_string(run.resumed_from()));
  }
  const bool live = is_terminal(2);
  std::optional<progress_bar> bar;
  bar.emplace(here.err(),
              progress_bar::settings{
                  .label = "pretraining",
                  .total = static_cast<std::size_t>(run.progress().steps),
                  .unit = "steps",
                  .live = live,
                  .width = terminal_width(2, here.env())});
  double told = 0;
  while (!run.done()) {
    if (here.signals().signal() != 0) {
      bar.reset();
      const auto saved = run.save();
      if (!saved) return saved.error();
      const std::string line =
          "pretraining stopped at step " +
          std::to_string(run.progress().step) + " of " +
          std::to_string(run.progress().steps) +
          "; the same command goes on from " + run.checkpoint().string();
      here.tell_interrupted(line, this_command());
      return error{ec::cancelled, line};
    }
    if (auto stepped = run.step(); !stepped) {
      bar.reset();
      return stepped.error();
    }
    const auto& p = run.progress();
    bar->show(static_cast<std::size_t>(p.step), note_of(p));
    // Into a file or a pipe: a line every half minute.
    if (!live && !here.json() && (p.seconds - told >= 30 || run.done())) {
      told = p.seconds;
      here.tell("step " + std::to_string(p.step) + " of " +
                std::to_string(p.steps) + ", " + note_of(p) + ", " +
                remaining(p));
    }
  }
  bar.reset();
  if (auto finished = run.finish(); !finished) return finished.error();
  const auto& p = run.progress();
  if (here.json()) {
    ordered_json record{{"path", here.arguments().get<std::string>("out")},
                        {"parameters", run.parameters()},
                        {"steps", p.steps},
                        {"loss", p.loss}};
    if (p.validated) record["validation_loss"] = p.validation_loss;
    record["seconds"] = p.seconds;
    record["tokens_per_second"] = p.tokens_per_second;
    here.print_json(record);
  } else {
    here.out() << "Wrote " << here.arguments().get<std::string>("out") << ", "
               << note_of(p) << ".\n";
  }
  return exit_code::ok;
}

option count(std::string name, std::int64_t value, std::string help,
             std::int64_t least = 1) {
  return {.name = std::move(name),
          .kind = option_kind::integer,
          .value = value,
          .help = std::move(help),
          .unit = "N",
          .least = least};
}

option real(std::string name, double value, std::string help) {
  return {.name = std::move(name),
          .kind = option_kind::real,
          .value = value,
          .help = std::move(help)};
}

option text(std::string name, std::string value, std::string help,
            std::vector<std::string> choices) {
  return {.name = std::move(name),
          .value = std::move(value),
          .help = std::move(help),
          .choices = std::move(choices)};
}

option path(std::string name, std::string help, std::string unit,
            bool required) {
  return {.name = std::move(name),
          .kind = option_kind::path,
          .help = std::move(help),
          .unit = std::move(unit),
          .required = required};
}

std::vector<option> flags() {
  const pretraining_spec spec;
  return {
      path("data", "JSONL of conversations and texts", "FILE", true),
      path("out", "the model's folder, made here", "FOLDER", true),
      path("checkpoint", "where a killed run goes on; without: OUT.checkpoint",
           "FILE", false),
      count("vocabulary", spec.vocabulary, "most tokens of the tokenizer"),
      count("hidden", spec.hidden, "width, a multiple of 16"),
      count("layers", spec.layers, "layers"),
      count("heads", spec.heads, "query heads, a divisor of the width"),
      count("kv_heads", spec.kv_heads, "key and value heads"),
      count("intermediate", spec.intermediate, "of the MLP, a multiple of 16"),
      count("max_length", spec.max_length,
            "tokens of a document, and the model's positions"),
      real("rope_theta", spec.rope_theta, "base of the rotary frequencies"),
      text("loss", spec.loss, "what counts: the assistant's turns, or all",
           {"answers", "all"}),
      text("longer", spec.longer, "what is done with longer documents",
           {"refuse", "cut", "skip"}),
      count("steps", spec.steps, "optimiser steps"),
      count("batch", spec.batch, "tokens of a step"),
      real("learning_rate", spec.learning_rate, "the highest of the schedule"),
      real("warmup", spec.warmup, "fraction of the steps"),
      real("weight_decay", spec.weight_decay, "of matrices"),
      real("beta2", spec.beta2, "of AdamW's second moment"),
      real("clip", spec.clip, "most norm of the gradient; 0: off"),
      real("validation", spec.validation, "fraction of documents held out"),
      count("validate_every", spec.validate_every, "steps"),
      count("checkpoint_every", spec.checkpoint_every, "steps"),
      count("log_every", spec.log_every, "steps between lines of the log"),
      count("seed", spec.seed, "of weights, order and division", 0),
      count("threads", spec.threads, "of the processor"),
      text("compute", spec.compute,
           "of the products; auto: bfloat16 where the processor has it",
           {"auto", "float32", "bfloat16"}),
      text("dtype", spec.dtype, "of the file", {"float32", "bfloat16"}),
  };
}

}  // namespace

std::vector<command_entry> pretrain_commands() {
  return {{{.name = "pretrain",
            .summary = "Train a small model from nothing",
            .options = flags()},
           pretrain}};
}

}  // namespace t2
