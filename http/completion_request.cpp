#include <algorithm>
#include <charconv>
#include <utility>

#include "http/completion_form.hpp"
#include "http/object_reader.hpp"
#include "text/chat_template.hpp"

namespace t2 {
namespace {

using nlohmann::json;

constexpr std::int64_t plenty = 1'000'000'000;
constexpr double plenty_of_seconds = 1e6;
constexpr std::int64_t most_choices_per_prompt = 16;
constexpr std::size_t most_text_bytes = 16 << 20;
constexpr std::size_t most_choices = 128;  // of all prompts
constexpr std::size_t most_biases = 1024;

/// A member of OpenAI's that t2 cannot honour; absent, empty or one of
/// `harmless` it asks for nothing.
void refuse(object_reader& in, std::string_view name, const std::string& why,
            const std::vector<json>& harmless = {}) {
  const json* found = in.member(name);
  if (!found || found->empty() ||
      std::ranges::find(harmless, *found) != harmless.end())
    return;
  in.fail(ec::invalid_argument, in.path(name) + ": " + why);
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
        "role", message.role,
        {"system", "developer", "user", "assistant", "tool"});
    if (message.role == "developer") message.role = "system";
    read_content(turn, message.content);
    // What an answer of OpenAI's library carries when it is sent back.
    for (const char* ignored :
         {"name", "refusal", "annotations", "tool_call_id"})
      turn.ignore(ignored);
    refuse(turn, "tool_calls", "tools are not supported");
    refuse(turn, "function_call", "functions are not supported");
    refuse(turn, "audio", "audio is not supported");
    if (auto fine = turn.finish(); !fine) {
      return in.fail(fine.error().code, fine.error().message);
    }
    out.push_back(std::move(message));
  }
}

bool all_ids(const json& list) {
  return !list.empty() && std::ranges::all_of(list, [](const json& id) {
    return id.is_number_unsigned() && id.get<std::uint64_t>() < (1u << 31);
  });
}

/// A text, ids, or a list of either: one query for each prompt.
void read_prompts(object_reader& in, std::vector<query>& out) {
  const json* prompt = in.require("prompt").member("prompt");
  if (!prompt) return;
  const auto read_one = [&](const json& one) {
    query& question = out.emplace_back();
    if (one.is_string()) {
      question.prompt = one.get<std::string>();
      return true;
    }
    if (!one.is_array() || !all_ids(one)) return false;
    question.prompt_ids = one.get<std::vector<token_id>>();
    return true;
  };
  const bool list = prompt->is_array() && !prompt->empty() &&
                    !prompt->front().is_number();
  bool fine = list || read_one(*prompt);
  if (list && prompt->size() > most_choices) {
    return in.fail_member(
        "prompt", "at most " + std::to_string(most_choices) + " prompts",
        json(prompt->size()));
  }
  if (list) fine = std::ranges::all_of(*prompt, read_one);
  if (!fine) {
    in.fail_member("prompt", "a text, token ids, or a list of these", *prompt);
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

void read_bias(object_reader& in,
               std::vector<std::pair<token_id, float>>& out) {
  const json* bias = in.member("logit_bias");
  if (!bias) return;
  const auto fail = [&] {
    in.fail_member("logit_bias",
                   "numbers from -100 to 100 by token id, at most " +
                       std::to_string(most_biases),
                   *bias);
  };
  if (!bias->is_object() || bias->size() > most_biases) return fail();
  for (const auto& [name, value] : bias->items()) {
    token_id id = -1;
    const auto [end, failed] =
        std::from_chars(name.data(), name.data() + name.size(), id);
    const double number = value.is_number() ? value.get<double>() : 1000;
    if (failed != std::errc() || end != name.data() + name.size() || id < 0 ||
        !(number >= -100 && number <= 100))
      return fail();
    out.emplace_back(id, static_cast<float>(number));
  }
}

void read_float(object_reader& in, std::string_view name, float& out,
                double low, double high) {
  double value = static_cast<double>(out);
  in.read(name, value, low, high);
  out = static_cast<float>(value);
}

void read_count(object_reader& in, std::string_view name, std::int32_t& out,
                std::int64_t least, std::int64_t most) {
  std::int64_t value = out;
  in.read(name, value, least, most);
  out = static_cast<std::int32_t>(value);
}

/// Any whole number, as OpenAI takes it; false where there is none.
bool read_seed(object_reader& in, std::uint64_t& out) {
  const json* seed = in.member("seed");
  if (seed && seed->is_number_integer() && !seed->is_number_unsigned()) {
    out = static_cast<std::uint64_t>(seed->get<std::int64_t>());
  } else {
    in.read("seed", out);
  }
  return seed != nullptr;
}

void read_sampling(object_reader& in, sampling_options& out) {
  read_float(in, "temperature", out.temperature, 0, 100);
  read_float(in, "top_p", out.top_p, 0, 1);
  read_float(in, "min_p", out.min_p, 0, 1);
  read_count(in, "top_k", out.top_k, 0, plenty);
  read_float(in, "repetition_penalty", out.repetition_penalty, 0.01, 100);
  read_float(in, "presence_penalty", out.presence_penalty, -2, 2);
  read_float(in, "frequency_penalty", out.frequency_penalty, -2, 2);
  read_bias(in, out.logit_bias);
  read_count(in, "max_tokens", out.max_tokens, 1, plenty);
  read_count(in, "max_completion_tokens", out.max_tokens, 1, plenty);
  in.read("ignore_eos", out.ignore_eos);
  read_stop(in, out.stop);
}

/// `logprobs`: with a chat yes or no, and `top_logprobs` the number of
/// alternatives; with a bare prompt that number itself.
void read_logprobs(object_reader& in, completion_kind kind, query& out) {
  std::int32_t& count = out.sampling.top_log_probabilities;
  if (kind == completion_kind::text) {
    out.report_tokens = in.member("logprobs") != nullptr;
    return read_count(in, "logprobs", count, 0, 5);
  }
  in.read("logprobs", out.report_tokens);
  read_count(in, "top_logprobs", count, 0, 20);
  if (in.member("top_logprobs") && !out.report_tokens) {
    in.fail(ec::invalid_argument,
            in.path("top_logprobs") + ": expected logprobs to be true");
  }
}

/// What the other form alone has, or has no effect, or cannot be had.
void read_others(object_reader& in, completion_kind kind, query& out) {
  for (const char* ignored :
       {"user", "store", "metadata", "service_tier", "safety_identifier",
        "prompt_cache_key", "prompt_cache_retention"})
    in.ignore(ignored);
  if (kind == completion_kind::text) {
    refuse(in, "suffix", "text is continued, not filled in", {""});
    in.read("echo", out.echo);
    if (out.echo && out.report_tokens) {
      in.fail(ec::invalid_argument,
              in.path("echo") + ": expected false with logprobs, found true");
    }
    return;
  }
  if (const json* variables = in.member("chat_template_kwargs")) {
    out.template_variables = variables->dump();
    if (auto fine = check_template_variables(out.template_variables); !fine)
      in.fail(fine.error().code, in.path(fine.error().message));
  }
  for (const char* ignored :
       {"parallel_tool_calls", "reasoning_effort", "verbosity", "prediction"})
    in.ignore(ignored);
  refuse(in, "tools", "tools are not supported");
  refuse(in, "tool_choice", "tools are not supported", {"none", "auto"});
  refuse(in, "functions", "functions are not supported");
  refuse(in, "function_call", "functions are not supported",
         {"none", "auto"});
  refuse(in, "response_format", "expected {\"type\": \"text\"}",
         {json{{"type", "text"}}});
  refuse(in, "modalities", "expected [\"text\"]", {json::array({"text"})});
  refuse(in, "audio", "audio is not supported");
  refuse(in, "web_search_options", "searching the web is not supported");
}

/// `n` and `best_of`; then every prompt's query as often as it has choices.
void spread(object_reader& in, std::vector<query> prompts,
            completion_request& out) {
  std::int64_t n = 1;
  in.read("n", n, 1, most_choices_per_prompt);
  in.accept_only("best_of", n);
  out.choices_per_prompt = static_cast<std::size_t>(n);
  if (prompts.size() * out.choices_per_prompt > most_choices) {
    return in.fail_member(
        "n", "at most " + std::to_string(most_choices) +
                 " choices of all prompts",
        json(prompts.size() * out.choices_per_prompt));
  }
  std::size_t bytes = 0;
  for (const query& prompt : prompts)
    bytes += text_bytes(prompt) * out.choices_per_prompt;
  if (bytes > most_text_bytes) {
    return in.fail(ec::invalid_argument,
                   in.path("n") + ": expected at most " +
                       std::to_string(most_text_bytes) +
                       " bytes of text in all choices, found " +
                       std::to_string(bytes));
  }
  for (const query& prompt : prompts)
    for (std::size_t i = 0; i < out.choices_per_prompt; ++i) {
      query& one = out.questions.emplace_back(prompt);
      one.stream = out.questions.size() - 1;
    }
}

}  // namespace

result<completion_request> parse_completion(std::string_view body,
                                            completion_kind kind) {
  auto value = parse_object(body);
  if (!value) return value.error();
  completion_request request;
  object_reader in(*value, "body");
  in.read("model", request.model, 256);
  if (request.model.empty()) request.model = "auto";
  std::vector<query> prompts;
  if (kind == completion_kind::chat) {
    read_messages(in, prompts.emplace_back().messages);
  } else {
    read_prompts(in, prompts);
  }
  query common;
  read_sampling(in, common.sampling);
  request.seeded = read_seed(in, common.sampling.seed);
  read_logprobs(in, kind, common);
  in.read("stream", request.stream);
  if (const json* options = in.member("stream_options")) {
    object_reader inner(*options, in.path("stream_options"));
    inner.read("include_usage", request.include_usage);
    inner.ignore("include_obfuscation");
    if (auto fine = inner.finish(); !fine) return fine.error();
  }
  in.read("reference", common.reference);
  in.read("route_only", common.route_only);
  double seconds = 0;
  in.read("deadline_seconds", seconds, 0.001, plenty_of_seconds);
  if (seconds > 0) common.deadline_seconds = seconds;
  read_others(in, kind, common);
  common.target = request.model;
  for (query& prompt : prompts) {
    std::string text = std::move(prompt.prompt);
    auto ids = std::move(prompt.prompt_ids);
    auto messages = std::move(prompt.messages);
    prompt = common;
    prompt.prompt = std::move(text);
    prompt.prompt_ids = std::move(ids);
    prompt.messages = std::move(messages);
  }
  spread(in, std::move(prompts), request);
  if (auto fine = in.finish(); !fine) return fine.error();
  return request;
}

}  // namespace t2
