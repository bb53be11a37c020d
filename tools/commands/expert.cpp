#include <charconv>
#include <filesystem>
#include <optional>

#include "adaptation/query.hpp"
#include "adaptation/training_curves.hpp"
#include "config/byte_size.hpp"
#include "config/durable_file.hpp"
#include "config/progress_bar.hpp"
#include "config/terminal.hpp"
#include "http/router.hpp"
#include "tools/answer_text.hpp"
#include "tools/asked_form.hpp"
#include "tools/mixture_text.hpp"
#include "tools/session.hpp"
#include "tools/this_command.hpp"

namespace t2 {
namespace {

constexpr std::size_t most_data_bytes = std::size_t{200} << 20;
constexpr std::size_t most_file_bytes = std::size_t{512} << 20;

std::string path_of(const std::string& expert) {
  return "/v1/experts/" + encode_url(expert);
}

/// `name@3` as a path and a query: /v1/experts/name`tail`?version=3.
std::string path_of_version(const std::string& reference,
                            const std::string& tail) {
  const auto at = reference.rfind('@');
  if (at == std::string::npos) return path_of(reference) + tail;
  return path_of(reference.substr(0, at)) + tail +
         "?version=" + encode_url(reference.substr(at + 1));
}

void print_version(session& here, const char* what,
                   const ordered_json& version) {
  if (here.json()) return here.print_json(version);
  here.out() << what << version.value("expert", "") << "@"
             << version.value("version", 0) << ", "
             << approximate_byte_size(version.value("bytes", std::int64_t{0}))
             << ", sha256 " << version.value("sha256", "").substr(0, 12)
             << "\n";
}

std::string progress_text(const ordered_json& progress) {
  const auto number = [&](const char* name) {
    return number_text(progress.at(name));
  };
  if (!progress.contains("reward"))
    return "loss " + number("loss") + ", validation " +
           number("validation_loss");
  return "reward " + number("reward") + ", KL " + number("kl") + ", length " +
         number("length") + ", gradient " + number("gradient_norm") +
         ", validation " + number("validation_reward");
}

/// Whether what was trained is no better than a constant answer is told of
/// what the best step was chosen by, too.
void print_answers(session& here, const ordered_json& metrics) {
  const auto validated = metrics.find("best_validation_answers");
  if (validated != metrics.end())
    here.out() << "Validation: "
               << answer_text("the expert", *validated);
  const auto tests = metrics.find("tests");
  if (tests == metrics.end()) return;
  for (const auto& [name, test] : tests->items()) {
    const auto number = [&](const char* member) {
      return number_text(test.at(member));
    };
    here.out() << "Test " << name << ": reward " << number("reward")
               << ", the base's " << number("base_reward") << ": "
               << number("difference") << " more, 95 % interval "
               << number("low") << " to " << number("high") << ", "
               << number("questions") << " questions\n";
    for (const auto& [who, member] :
         {std::pair{"the base", "base_answers"}, {"the expert", "answers"}})
      if (test.contains(member))
        here.out() << answer_text(who, test.at(member));
  }
}

result<exit_code> train(session& here) {
  const auto& given = here.arguments();
  const std::string file = given.get<std::string>("data");
  auto data = read_file(file, most_data_bytes);
  if (!data) return data.error();
  ordered_json body = {{"data", *std::move(data)}};
  std::string format = given.get<std::string>("format");
  if (format == "auto") {
    format =
        std::filesystem::path(file).extension() == ".txt" ? "text" : "jsonl";
  }
  body["format"] = format;
  if (given.given("validation_data")) {
    auto other = read_file(given.get<std::string>("validation_data"),
                           most_data_bytes);
    if (!other) return other.error();
    body["validation_data"] = *std::move(other);
  }
  for (const auto& test : given.get<std::vector<std::string>>("test")) {
    auto other = read_file(test, most_data_bytes);
    if (!other) return other.error();
    ordered_json& named = body["tests"][std::filesystem::path(test).stem()];
    if (!named.is_null())
      return error{ec::invalid_argument,
                   "--test: expected files of different names, found " + test +
                       " again"};
    named = *std::move(other);
  }
  const auto form = chosen_form(given);
  if (!form) return form.error();
  if (!form->empty()) body["form"] = *form;
  if (given.get<bool>("classify")) body["classify"] = true;
  for (const char* name :
       {"objective", "method", "targets", "norm", "parametrisation",
        "lora_targets", "reward", "advantage", "kl_direction"}) {
    if (given.given(name)) body[name] = given.get<std::string>(name);
  }
  for (const char* name :
       {"steps", "batch", "validate_every", "max_tokens", "seed",
        "checkpoint_every", "rank", "max_answer_tokens", "samples",
        "patience"}) {
    if (given.given(name)) body[name] = given.get<std::int64_t>(name);
  }
  for (const char* name :
       {"learning_rate", "weight_decay", "clip", "warmup", "validation",
        "alpha", "temperature", "kl_weight"}) {
    if (given.given(name)) body[name] = given.get<double>(name);
  }
  for (const char* name : {"checkpoint", "output"}) {
    // The server may run in another folder.
    if (given.given(name))
      body[name] =
          std::filesystem::absolute(given.get<std::string>(name)).string();
  }
  std::optional<training_curves> curves;
  if (given.given("curves")) {
    auto opened = training_curves::open(given.get<std::string>("curves"));
    if (!opened) return opened.error();
    curves = *std::move(opened);
  }
  const auto api = here.ready_api();
  if (!api) return api.error();
  std::optional<progress_bar> bar;
  const auto version = (*api)->follow(
      path_of(here.positional(0)) + "/train", body,
      [&](const ordered_json& progress) {
        if (!bar) {
          bar.emplace(here.err(),
                      progress_bar::settings{
                          .label = "training",
                          .total = progress.value("steps", std::size_t{0}),
                          .unit = "steps",
                          .live = is_terminal(2),
                          .width = terminal_width(2, here.env())});
        }
        if (curves) curves->add(progress);
        bar->show(progress.value("step", std::size_t{0}),
                  progress_text(progress));
      },
      api_client::on_interrupt::keep);
  bar.reset();
  if (!version && here.signals().signal() != 0)
    here.tell_interrupted(version.error().message, this_command());
  if (curves)
    if (auto drawn = curves->finish(); !drawn && version)
      return drawn.error();
  if (!version) return version.error();
  const auto metrics = ordered_json::json_pointer("/provenance/metrics");
  if (!here.json() && version->contains(metrics))
    print_answers(here, version->at(metrics));
  if (given.get<std::string>("method") == "lora" && !here.json()) {
    here.out() << "Wrote the adapter to " << given.get<std::string>("output")
               << ".\n";
    return exit_code::ok;
  }
  print_version(here, "Trained ", *version);
  return exit_code::ok;
}

result<exit_code> list(session& here) {
  const auto api = here.api();
  if (!api) return api.error();
  const auto experts = (*api)->get("/v1/experts");
  if (!experts) return experts.error();
  if (here.json()) {
    here.print_json(*experts);
    return exit_code::ok;
  }
  table rows({{"EXPERT"},
              {"VERSION", alignment::right},
              {"BASE"},
              {"CREATED"},
              {"DESCRIPTION"}});
  for (const auto& one : experts->at("data")) {
    rows.add_row({one.value("name", ""),
                  std::to_string(one.value("version", 0)),
                  one.value("base", "").substr(0, 12),
                  print_time(one.value("created", std::int64_t{0})),
                  one.value("description", "")});
  }
  here.print_table(rows);
  return exit_code::ok;
}

result<exit_code> show(session& here) {
  const auto api = here.api();
  if (!api) return api.error();
  const auto version = (*api)->get(path_of_version(here.positional(0), ""));
  if (!version) return version.error();
  if (here.json()) {
    here.print_json(*version);
    return exit_code::ok;
  }
  table rows({{""}, {""}});
  for (const auto& [name, value] : version->items()) {
    if (name == "object") continue;
    rows.add_row({name, name == "created"   ? print_time(value)
                        : value.is_string() ? value.get<std::string>()
                                            : dump_json(value)});
  }
  here.print_table(rows);
  return exit_code::ok;
}

result<exit_code> history(session& here) {
  const auto api = here.api();
  if (!api) return api.error();
  const auto versions = (*api)->get(path_of(here.positional(0)) + "/versions");
  if (!versions) return versions.error();
  if (here.json()) {
    here.print_json(*versions);
    return exit_code::ok;
  }
  table rows({{"VERSION", alignment::right},
              {"CREATED"},
              {"PARENT", alignment::right},
              {"NORM"},
              {"TARGETS"},
              {"SIZE", alignment::right},
              {"SHA256"}});
  for (const auto& one : versions->at("data")) {
    rows.add_row({std::to_string(one.value("version", 0)),
                  print_time(one.value("created", std::int64_t{0})),
                  std::to_string(one.value("parent", 0)), one.value("norm", ""),
                  one.value("targets", ""),
                  approximate_byte_size(one.value("bytes", std::int64_t{0})),
                  one.value("sha256", "").substr(0, 12)});
  }
  here.print_table(rows);
  return exit_code::ok;
}

result<exit_code> rollback(session& here) {
  const std::string& text = here.positional(1);
  std::int64_t version = 0;
  const auto [end, failed] =
      std::from_chars(text.data(), text.data() + text.size(), version);
  if (failed != std::errc() || end != text.data() + text.size() ||
      version < 1) {
    return error{ec::invalid_argument,
                 "VERSION: expected a number from 1, found '" + text + "'"};
  }
  const auto api = here.api();
  if (!api) return api.error();
  const auto expert = (*api)->post(path_of(here.positional(0)) + "/rollback",
                                   {{"version", version}});
  if (!expert) return expert.error();
  if (here.json()) {
    here.print_json(*expert);
  } else {
    here.out() << "Expert " << expert->value("name", "") << " is at version "
               << expert->value("version", 0) << ".\n";
  }
  return exit_code::ok;
}

result<exit_code> export_file(session& here) {
  const auto api = here.api();
  if (!api) return api.error();
  const auto file =
      (*api)->download(path_of_version(here.positional(0), "/file"));
  if (!file) return file.error();
  if (auto kept = write_output(here.positional(1), *file); !kept) {
    return kept.error();
  }
  if (here.json()) {
    here.print_json({{"path", here.positional(1)}, {"bytes", file->size()}});
  } else {
    here.out() << "Wrote " << here.positional(1) << ".\n";
  }
  return exit_code::ok;
}

result<exit_code> import_file(session& here) {
  const auto file = read_file(here.positional(1), most_file_bytes);
  if (!file) return file.error();
  const auto api = here.ready_api();
  if (!api) return api.error();
  const auto version =
      (*api)->upload(path_of(here.positional(0)) + "/file", *file);
  if (!version) return version.error();
  print_version(here, "Imported ", *version);
  return exit_code::ok;
}

result<exit_code> remove(session& here) {
  const auto api = here.api();
  if (!api) return api.error();
  const auto removed = (*api)->remove(path_of(here.positional(0)));
  if (!removed) return removed.error();
  if (here.json()) here.print_json(*removed);
  return exit_code::ok;
}

option text(std::string name, std::string value, std::string help,
            std::vector<std::string> choices) {
  return {.name = std::move(name),
          .value = std::move(value),
          .help = std::move(help),
          .choices = std::move(choices)};
}

option count(std::string name, std::int64_t value, std::string help) {
  return {.name = std::move(name),
          .kind = option_kind::integer,
          .value = value,
          .help = std::move(help),
          .unit = "N"};
}

option real(std::string name, double value, std::string help) {
  return {.name = std::move(name),
          .kind = option_kind::real,
          .value = value,
          .help = std::move(help)};
}

/// The defaults are those of training_spec (adaptation/query.hpp).
std::vector<option> training_flags() {
  const training_spec spec;
  const auto forms = form_flags();
  return {
      {.name = "data",
       .kind = option_kind::path,
       .help = "what to learn from",
       .unit = "FILE",
       .required = true},
      {.name = "validation_data",
       .kind = option_kind::path,
       .help = "what the best step is chosen by; else a part of the data",
       .unit = "FILE"},
      {.name = "test",
       .kind = option_kind::list,
       .value = std::vector<std::string>(),
       .help = "questions that base and result answer once, at the end",
       .unit = "FILES"},
      forms[0],
      forms[1],
      {.name = "classify",
       .kind = option_kind::boolean,
       .value = false,
       .help = "reinforce: a classifier for pass 1 (route.classifier); each "
               "prompt's answer is its label"},
      text("objective", spec.objective, "what is learnt",
           {"next-token", "reinforce"}),
      text("method", spec.method, "what is trained; lora needs --output",
           {"svf", "lora"}),
      text("format", "auto",
           "of the data; text: documents between blank lines; auto: text for "
           ".txt",
           {"auto", "jsonl", "text"}),
      {.name = "output",
       .kind = option_kind::path,
       .help = "where a LoRA adapter goes, in PEFT's format",
       .unit = "FOLDER"},
      count("rank", spec.rank, "of LoRA"),
      real("alpha", spec.alpha, "of LoRA: B A is scaled by alpha / rank"),
      {.name = "lora_targets",
       .value = spec.lora_targets,
       .help = "projections that LoRA adapts",
       .unit = "NAMES"},
      {.name = "reward",
       .value = spec.reward,
       .help = "judges the answers to examples that name none",
       .unit = "NAME"},
      count("max_answer_tokens", spec.max_answer_tokens,
            "of a sampled answer"),
      count("samples", spec.samples, "reinforce: answers to a prompt"),
      real("temperature", spec.temperature,
           "reinforce: answers are drawn at; 0: greedy"),
      text("advantage", spec.advantage,
           "reinforce: what log p is weighed with",
           {"none", "batch-mean", "leave-one-out"}),
      real("kl_weight", spec.kl_weight, "reinforce: of the KL to the base"),
      text("kl_direction", spec.kl_direction,
           "KL(policy || base) or KL(base || policy)",
           {"policy-base", "base-policy"}),
      {.name = "targets",
       .value = spec.targets,
       .help = "weights that SVF adapts: all, attention, mlp, q_proj ... "
               "lm_head, a pattern, between commas; 0-3:mlp: of those layers",
       .unit = "NAMES"},
      text("norm", spec.norm, "how an adapted weight is scaled",
           {"none", "nuclear"}),
      text("parametrisation", spec.parametrisation, "z itself or sigmoid(p)",
           {"direct", "sigmoid"}),
      count("steps", spec.steps, "optimiser steps"),
      count("batch", spec.batch, "rows of a step; reinforce: prompts"),
      real("learning_rate", spec.learning_rate, "the highest of the schedule"),
      real("weight_decay", spec.weight_decay, "towards the base"),
      real("clip", spec.clip, "most norm of the gradient; 0: off"),
      real("warmup", spec.warmup, "fraction of the steps"),
      real("validation", spec.validation, "fraction of the prompts held out"),
      count("validate_every", spec.validate_every, "steps"),
      count("patience", spec.patience,
            "validations without gain before it stops; 0: never"),
      count("max_tokens", spec.max_tokens, "of a row; reinforce: a prompt"),
      count("seed", static_cast<std::int64_t>(spec.seed), "of the batches"),
      {.name = "curves",
       .kind = option_kind::path,
       .help = "JSONL of every step, and a plot beside it (.svg)",
       .unit = "FILE"},
      {.name = "checkpoint",
       .kind = option_kind::path,
       .help = "where a killed run goes on",
       .unit = "FILE"},
      count("checkpoint_every", spec.checkpoint_every, "steps"),
  };
}

}  // namespace

std::vector<command_entry> expert_commands() {
  const positional name{.name = "EXPERT", .help = "the expert's name"};
  const positional reference{.name = "EXPERT",
                             .help = "the expert's name, or NAME@VERSION"};
  const positional file{.name = "FILE", .help = "an expert file"};
  return {{{.name = "expert train",
            .summary = "Train a version of an expert",
            .positionals = {name},
            .options = training_flags()},
           train},
          {{.name = "expert list", .summary = "List the experts"}, list},
          {{.name = "expert show",
            .summary = "Show a version and where it came from",
            .positionals = {reference}},
           show},
          {{.name = "expert history",
            .summary = "List the versions of an expert",
            .positionals = {name}},
           history},
          {{.name = "expert rollback",
            .summary = "Make an older version current",
            .positionals = {name, {.name = "VERSION", .help = "its number"}}},
           rollback},
          {{.name = "expert export",
            .summary = "Write a version to a file",
            .positionals = {reference, file}},
           export_file},
          {{.name = "expert import",
            .summary = "Add a version from a file",
            .positionals = {name, file}},
           import_file},
          {{.name = "expert rm",
            .summary = "Remove an expert",
            .positionals = {name}},
           remove}};
}

}  // namespace t2
