#include "http/completion_form.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "http/json_forms.hpp"

namespace t2 {
namespace {

/// OpenAI's stand-in for a probability of nothing.
constexpr double least_log_probability = -9999;

ordered_json usage_form(const completion_usage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.answer_tokens},
          {"total_tokens", usage.prompt_tokens + usage.answer_tokens}};
}

ordered_json head_form(const completion_head& head, const char* object) {
  ordered_json form = {{"id", head.id},
                       {"object", object},
                       {"created", head.created},
                       {"model", head.model},
                       {"system_fingerprint", nullptr}};
  if (!head.fingerprint.empty())
    form["system_fingerprint"] = "fp_" + head.fingerprint.substr(0, 10);
  return form;
}

ordered_json chunk_head(const completion_head& head) {
  const bool chat = head.kind == completion_kind::chat;
  return head_form(head, chat ? "chat.completion.chunk" : "text_completion");
}

ordered_json finish_form(const std::optional<std::string>& reason) {
  if (!reason) return nullptr;
  return *reason;
}

/// A token's text; of bytes that are half a character, how they are spelled,
/// so that two of them never look the same.
std::string token_text(const std::string& bytes) {
  try {
    ordered_json(bytes).dump();
    return bytes;
  } catch (const ordered_json::exception&) {
    std::string spelled = "bytes:";
    for (const char c : bytes) {
      char digits[8];
      std::snprintf(digits, sizeof digits, "\\x%02x",
                    static_cast<unsigned>(static_cast<unsigned char>(c)));
      spelled += digits;
    }
    return spelled;
  }
}

double likelihood(double log_probability) {
  return std::max(log_probability, least_log_probability);
}

ordered_json likelihood_form(const std::string& bytes, double log_probability) {
  ordered_json numbers = ordered_json::array();
  for (const char c : bytes) numbers.push_back(static_cast<unsigned char>(c));
  return {{"token", token_text(bytes)},
          {"logprob", likelihood(log_probability)},
          {"bytes", std::move(numbers)}};
}

ordered_json chat_logprobs(std::span<const answer_token> tokens) {
  ordered_json content = ordered_json::array();
  for (const auto& token : tokens) {
    ordered_json form = likelihood_form(token.bytes, token.log_probability);
    form["top_logprobs"] = ordered_json::array();
    for (const auto& [bytes, log_probability] : token.alternatives)
      form["top_logprobs"].push_back(likelihood_form(bytes, log_probability));
    content.push_back(std::move(form));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

ordered_json text_logprobs(std::span<const answer_token> tokens) {
  ordered_json form = {{"tokens", ordered_json::array()},
                       {"token_logprobs", ordered_json::array()},
                       {"top_logprobs", ordered_json::array()},
                       {"text_offset", ordered_json::array()}};
  bool alternatives = false;
  for (const auto& token : tokens) {
    form["tokens"].push_back(token_text(token.bytes));
    form["token_logprobs"].push_back(likelihood(token.log_probability));
    form["text_offset"].push_back(token.text_offset);
    ordered_json top = ordered_json::object();
    for (const auto& [bytes, log_probability] : token.alternatives)
      top[token_text(bytes)] = likelihood(log_probability);
    alternatives = alternatives || !token.alternatives.empty();
    // The chosen token is among them, as with OpenAI.
    if (!token.alternatives.empty())
      top[token_text(token.bytes)] = likelihood(token.log_probability);
    form["top_logprobs"].push_back(std::move(top));
  }
  if (!alternatives) form["top_logprobs"] = nullptr;
  return form;
}

ordered_json logprobs_form(completion_kind kind, bool wanted,
                           std::span<const answer_token> tokens) {
  if (!wanted) return nullptr;
  return kind == completion_kind::chat ? chat_logprobs(tokens)
                                       : text_logprobs(tokens);
}

ordered_json route_form(const completion_choice& choice) {
  ordered_json form = form_of(choice.route);
  form["log_probability"] = choice.last.log_probability;
  return form;
}

}  // namespace

ordered_json form_of_completion(const completion_head& head,
                                std::span<const completion_choice> choices,
                                const completion_usage& usage) {
  const bool chat = head.kind == completion_kind::chat;
  ordered_json form =
      head_form(head, chat ? "chat.completion" : "text_completion");
  form["choices"] = ordered_json::array();
  for (const auto& one : choices) {
    ordered_json choice = {{"index", form["choices"].size()}};
    if (chat) {
      choice["message"] = {{"role", "assistant"},
                           {"content", one.text},
                           {"refusal", nullptr}};
    } else {
      choice["text"] = one.text;
    }
    choice["logprobs"] =
        logprobs_form(head.kind, one.report_tokens, one.tokens);
    choice["finish_reason"] = finish_form(one.last.finish_reason);
    if (choices.size() > 1) choice["t2"] = route_form(one);
    form["choices"].push_back(std::move(choice));
  }
  form["usage"] = usage_form(usage);
  if (!choices.empty()) form["t2"] = route_form(choices.front());
  return form;
}

ordered_json form_of_chunk(const completion_head& head, std::size_t index,
                           const answer_part& part, bool first,
                           bool report_tokens) {
  ordered_json form = chunk_head(head);
  ordered_json choice = {{"index", index}};
  if (head.kind == completion_kind::chat) {
    ordered_json delta = ordered_json::object();
    if (first) delta["role"] = "assistant";
    if (!part.text.empty() || first) delta["content"] = part.text;
    choice["delta"] = std::move(delta);
  } else {
    choice["text"] = part.text;
  }
  choice["logprobs"] = logprobs_form(
      head.kind, report_tokens && !part.tokens.empty(), part.tokens);
  choice["finish_reason"] = finish_form(part.finish_reason);
  form["choices"] = ordered_json::array({std::move(choice)});
  if (head.include_usage) form["usage"] = nullptr;
  if (part.route) form["t2"] = form_of(*part.route);
  return form;
}

ordered_json form_of_usage_chunk(const completion_head& head,
                                 const completion_usage& usage,
                                 double log_probability) {
  ordered_json form = chunk_head(head);
  form["choices"] = ordered_json::array();
  form["usage"] = usage_form(usage);
  form["t2"] = {{"log_probability", log_probability}};
  return form;
}

}  // namespace t2
