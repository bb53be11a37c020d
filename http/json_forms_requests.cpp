#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "config/task_file.hpp"
#include "http/json_forms.hpp"
#include "http/object_reader.hpp"

namespace t2 {
namespace {

using nlohmann::json;

// A value that no deployment needs and arithmetic still survives.
constexpr std::int64_t plenty = 1'000'000'000;
constexpr double plenty_of_seconds = 1e6;

void read_example(object_reader& in, const json& value, std::size_t index,
                  store_task& task) {
  const std::string where = in.path("examples") + "[" +
                            std::to_string(index) + "]";
  auto line =
      parse_task_line(value, where, "example-" + std::to_string(index + 1));
  if (!line) return in.fail(line.error().code, line.error().message);
  if (!line->answer) {
    return in.fail(ec::invalid_argument,
                   where + ".answer: expected a text, found none");
  }
  store_example example{.id = line->id, .answer = *line->answer};
  const json whole = to_json(*line);
  json extra = line->extra;
  for (const char* kept : {"messages", "reward"}) {
    if (whole.contains(kept)) extra[kept] = whole[kept];
  }
  if (const auto* prompt = std::get_if<std::string>(&line->prompt)) {
    example.prompt = *prompt;
  }
  example.extra_json = extra.dump();
  task.examples.push_back(std::move(example));
}

}  // namespace

result<store_task> parse_task(std::string_view body) {
  auto value = parse_object(body);
  if (!value) return value.error();
  store_task task;
  object_reader in(*value, "body");
  in.require("name").read("name", task.name);
  in.read("description", task.description);
  task.reward = "exact";
  in.read_choice("reward", task.reward,
                 {"exact", "numeric", "choice", "regex", "python", "command",
                  "logprob"});
  task.form.clear();  // without one, the model and the examples decide
  in.read_choice("form", task.form, {"raw", "chat"});
  if (const json* options = in.member("options")) {
    if (!options->is_object()) in.fail_member("options", "an object", *options);
    task.options_json = options->dump();
  }
  const json* examples = in.require("examples").member("examples");
  if (examples && (!examples->is_array() || examples->empty())) {
    in.fail_member("examples", "a list of examples", *examples);
  } else if (examples) {
    for (std::size_t i = 0; i < examples->size(); ++i) {
      read_example(in, (*examples)[i], i, task);
    }
  }
  if (auto fine = in.finish(); !fine) return fine.error();
  std::set<std::string> ids;
  for (const auto& example : task.examples) {
    if (!ids.insert(example.id).second) {
      return error{ec::invalid_argument, "body.examples: the id '" +
                                             example.id + "' is given twice"};
    }
  }
  return task;
}

result<adapt_form> parse_adapt(std::string task, std::string_view body,
                                  const search_options& defaults) {
  auto value = parse_object(body);
  if (!value) return value.error();
  adapt_form request;
  request.task = std::move(task);
  request.search = defaults;
  search_options& search = request.search;
  object_reader in(*value, "body");
  in.read("background", request.background);
  in.read("force", request.force);
  in.read("experts", request.experts);
  in.read("optimiser", search.optimiser, 64);
  in.read("population", search.population, 1, plenty);
  in.read("elite", search.elite, 0, 1);
  in.read("sigma", search.sigma, 0, 100);
  in.read("iterations", search.iterations, 1, plenty);
  in.read_choice("per", search.per, {"expert", "projection"});
  in.read_choice("rule", search.rule, {"delta", "paper"});
  in.read("tokens", search.tokens, 0);
  in.read("seconds", search.seconds, 0, plenty_of_seconds);
  in.read("stream_bytes", search.stream_bytes, 1);
  in.read("folds", search.folds, 0, plenty);
  in.read("seed", search.seed, 0);
  in.read("survivors", search.survivors, 0, plenty);
  in.read("preselect", search.preselect, 0, 1024);
  if (auto fine = in.finish(); !fine) return fine.error();
  return request;
}

result<training_form> parse_training(std::string expert,
                                     std::string_view body) {
  auto value = parse_object(body);
  if (!value) return value.error();
  training_form spec;
  spec.name = std::move(expert);
  object_reader in(*value, "body");
  in.read("background", spec.background);
  in.read_choice("objective", spec.objective, {"next-token", "reinforce"});
  in.read_choice("method", spec.method, {"svf", "lora"});
  in.require("data").read("data", spec.data);
  in.read("validation_data", spec.validation_data);
  if (const json* tests = in.member("tests")) {
    if (!tests->is_object()) in.fail_member("tests", "an object", *tests);
    for (const auto& [name, data] : tests->items()) {
      if (!data.is_string()) in.fail_member("tests", "JSONL by name", data);
      else spec.tests[name] = data.get<std::string>();
    }
  }
  in.read("classify", spec.classify);
  in.read_choice("form", spec.form, {"raw", "chat"});
  in.read_choice("format", spec.format, {"jsonl", "text"});
  in.read("targets", spec.targets, 256);
  in.read_choice("norm", spec.norm, {"none", "nuclear"});
  in.read_choice("parametrisation", spec.parametrisation,
                 {"direct", "sigmoid"});
  in.read("rank", spec.rank, 1, 4096);
  in.read("alpha", spec.alpha, 0, 1e6);
  in.read("lora_targets", spec.lora_targets, 256);
  std::string output;
  in.read("output", output, 4096);
  spec.output = output;
  in.read("reward", spec.reward, 64);
  in.read("max_answer_tokens", spec.max_answer_tokens, 1, plenty);
  in.read("samples", spec.samples, 1, 4096);
  in.read("temperature", spec.temperature, 0, 100);
  in.read_choice("advantage", spec.advantage,
                 {"none", "batch-mean", "leave-one-out"});
  in.read("kl_weight", spec.kl_weight, 0, 1e6);
  in.read_choice("kl_direction", spec.kl_direction,
                 {"policy-base", "base-policy"});
  in.read("patience", spec.patience, 0, plenty);
  in.read("steps", spec.steps, 1, plenty);
  in.read("batch", spec.batch, 1, 1'000'000);
  in.read("learning_rate", spec.learning_rate, 0, 1000);
  in.read("weight_decay", spec.weight_decay, 0, 1000);
  in.read("clip", spec.clip, 0, 1e9);
  in.read("warmup", spec.warmup, 0, 1);
  in.read("validation", spec.validation, 0, 0.9);
  in.read("validate_every", spec.validate_every, 1, plenty);
  in.read("max_tokens", spec.max_tokens, 2, plenty);
  in.read("seed", spec.seed);
  std::string checkpoint;
  in.read("checkpoint", checkpoint, 4096);
  spec.checkpoint = checkpoint;
  in.read("checkpoint_every", spec.checkpoint_every, 1, plenty);
  if (auto fine = in.finish(); !fine) return fine.error();
  return spec;
}

result<std::int64_t> parse_rollback(std::string_view body) {
  auto value = parse_object(body);
  if (!value) return value.error();
  std::int64_t version = 0;
  object_reader in(*value, "body");
  in.require("version").read("version", version, 1);
  if (auto fine = in.finish(); !fine) return fine.error();
  return version;
}

result<std::string> parse_decompose(std::string_view body) {
  auto value = parse_object(body);
  if (!value) return value.error();
  std::string targets = "all";
  object_reader in(*value, "body");
  in.read("targets", targets, 256);
  if (auto fine = in.finish(); !fine) return fine.error();
  return targets;
}

result<finished_evaluation> parse_evaluation(std::string_view body) {
  auto value = parse_object(body);
  if (!value) return value.error();
  finished_evaluation measured;
  object_reader in(*value, "body");
  in.require("model").read("model", measured.target, 1024);
  in.require("dataset").read("dataset", measured.dataset, 4096);
  in.require("data_sha256").read("data_sha256", measured.data_sha256, 64);
  in.require("prompts").read("prompts", measured.prompts);
  in.read("allow_unrecorded", measured.allow_unrecorded);
  if (const auto* scores = in.require("scores").member("scores"))
    measured.scores_json = scores->dump();
  if (auto fine = in.finish(); !fine) return fine.error();
  return measured;
}

result<std::string> parse_backup(std::string_view body) {
  auto value = parse_object(body);
  if (!value) return value.error();
  std::string path;
  object_reader in(*value, "body");
  in.require("path").read("path", path, 4096);
  if (path.empty() || path.front() != '/') {
    in.fail_member("path", "an absolute path", path);
  }
  if (auto fine = in.finish(); !fine) return fine.error();
  return path;
}

}  // namespace t2
