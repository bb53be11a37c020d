#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "config/jsonl.hpp"
#include "config/task_file.hpp"
#include "http/json_forms.hpp"
#include "http/object_reader.hpp"

namespace t2 {
namespace {

using nlohmann::json;

// A value that no deployment needs and arithmetic still survives.
constexpr std::int64_t plenty = 1'000'000'000;
constexpr double plenty_of_seconds = 1e6;

/// A body; an empty one counts as {}.
result<json> parse_object(std::string_view body) {
  if (body.find_first_not_of(" \t\r\n") == std::string_view::npos) {
    return json::object();
  }
  auto value =
      parse_json(body, {.bytes = body.size(), .depth = 32});
  if (!value) {
    return error{value.error().code, "body: " + value.error().message};
  }
  return value;
}

/// A message's content: a text, or a list of {"type": "text", "text"}.
void read_content(object_reader& in, std::string& out) {
  const json* content = in.member("content");
  if (!content || !content->is_array()) {
    return in.require("content").read("content", out);
  }
  out.clear();
  for (std::size_t i = 0; i < content->size(); ++i) {
    object_reader part((*content)[i],
                       in.path("content") + "[" + std::to_string(i) + "]");
    std::string type = "text";
    std::string text;
    part.read_choice("type", type, {"text"});
    part.require("text").read("text", text);
    if (auto fine = part.finish(); !fine) {
      return in.fail(fine.error().code, fine.error().message);
    }
    out += text;
  }
}

void read_messages(object_reader& in, std::vector<chat_message>& out) {
  const json* messages = in.require("messages").member("messages");
  if (!messages) return;
  if (!messages->is_array() || messages->empty()) {
    return in.fail_member("messages", "a list of messages", *messages);
  }
  for (std::size_t i = 0; i < messages->size(); ++i) {
    object_reader turn((*messages)[i],
                       in.path("messages") + "[" + std::to_string(i) + "]");
    chat_message message;
    turn.require("role").read_choice(
        "role", message.role, {"system", "user", "assistant", "tool"});
    read_content(turn, message.content);
    turn.ignore("name");
    if (auto fine = turn.finish(); !fine) {
      return in.fail(fine.error().code, fine.error().message);
    }
    out.push_back(std::move(message));
  }
}

void read_stop(object_reader& in, std::vector<std::string>& out) {
  constexpr std::size_t most = 16;
  const json* stop = in.member("stop");
  if (stop && stop->is_string()) {
    out = {stop->get<std::string>()};
  } else {
    in.read("stop", out, most);
  }
  if (std::ranges::find(out, "") != out.end()) {
    in.fail_member("stop", "texts that are not empty", *stop);
  }
}

void read_float(object_reader& in, std::string_view name, float& out,
                double low, double high) {
  double value = out;
  in.read(name, value, low, high);
  out = static_cast<float>(value);
}

void read_count(object_reader& in, std::string_view name, std::int32_t& out,
                std::int64_t least, std::int64_t most) {
  std::int64_t value = out;
  in.read(name, value, least, most);
  out = static_cast<std::int32_t>(value);
}

void read_sampling(object_reader& in, sampling_options& out) {
  read_float(in, "temperature", out.temperature, 0, 100);
  read_float(in, "top_p", out.top_p, 0, 1);
  read_float(in, "min_p", out.min_p, 0, 1);
  read_count(in, "top_k", out.top_k, 0, plenty);
  read_float(in, "repetition_penalty", out.repetition_penalty, 0.01, 100);
  in.read("seed", out.seed);
  read_count(in, "max_tokens", out.max_tokens, 1, plenty);
  read_count(in, "max_completion_tokens", out.max_tokens, 1, plenty);
  in.read("ignore_eos", out.ignore_eos);
  read_stop(in, out.stop);
}

/// OpenAI's members that mean nothing here, with the value that says so.
void read_neutral(object_reader& in) {
  in.accept_only("n", 1);
  in.accept_only("best_of", 1);
  in.accept_only("presence_penalty", 0);
  in.accept_only("frequency_penalty", 0);
  in.accept_only("echo", false);
  in.ignore("user");
}

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

result<completion_request> parse_completion(std::string_view body,
                                            completion_kind kind) {
  auto value = parse_object(body);
  if (!value) return value.error();
  completion_request request;
  object_reader in(*value, "body");
  in.read("model", request.model, 256);
  if (kind == completion_kind::chat) {
    read_messages(in, request.question.messages);
  } else {
    in.require("prompt").read("prompt", request.question.prompt);
  }
  read_sampling(in, request.question.sampling);
  in.read("stream", request.stream);
  if (const json* options = in.member("stream_options")) {
    object_reader inner(*options, in.path("stream_options"));
    inner.read("include_usage", request.include_usage);
    if (auto fine = inner.finish(); !fine) return fine.error();
  }
  if (in.member("reference")) {
    in.read("reference", request.question.reference.emplace());
  }
  in.read("route_only", request.question.route_only);
  double seconds = 0;
  in.read("deadline_seconds", seconds, 0.001, plenty_of_seconds);
  if (seconds > 0) request.question.deadline_seconds = seconds;
  read_neutral(in);
  if (auto fine = in.finish(); !fine) return fine.error();
  if (request.model.empty()) request.model = "auto";
  request.question.target = request.model;
  return request;
}

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

result<adapt_request> parse_adapt(std::string task, std::string_view body,
                                  const search_options& defaults) {
  auto value = parse_object(body);
  if (!value) return value.error();
  adapt_request request;
  request.task = std::move(task);
  request.search = defaults;
  search_options& search = request.search;
  object_reader in(*value, "body");
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

result<training_spec> parse_training(std::string expert,
                                     std::string_view body) {
  auto value = parse_object(body);
  if (!value) return value.error();
  training_spec spec;
  spec.name = std::move(expert);
  object_reader in(*value, "body");
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
  in.read_choice("format", spec.format, {"jsonl", "text"});
  in.read_choice("targets", spec.targets, {"attention", "mlp", "all"});
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
  in.read_choice("targets", targets, {"attention", "mlp", "all"});
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
