#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "actors/client.hpp"
#include "config/result.hpp"
#include "http/json.hpp"

namespace t2 {

// Every JSON that goes in or out under /v1, in one place (docs/formats.md).
// parse_* check names, types and ranges and refuse unknown members with
// ec::invalid_argument; form_of never fails.

/// The body of /v1/chat/completions or /v1/completions.
struct completion_request {
  query question;
  std::string model;  // as it was named, for the answer
  bool stream = false;
  bool include_usage = false;  // a last chunk with the usage
};

enum class completion_kind { chat, text };

result<completion_request> parse_completion(std::string_view body,
                                            completion_kind kind);
result<store_task> parse_task(std::string_view body);
/// `defaults` stands for the search's options that the body leaves out.
result<adapt_request> parse_adapt(std::string task, std::string_view body,
                                  const search_options& defaults);
result<training_spec> parse_training(std::string expert, std::string_view body);
/// {"version": N}
result<std::int64_t> parse_rollback(std::string_view body);
/// {"targets": "all"}
result<std::string> parse_decompose(std::string_view body);
/// {"path": "..."}
result<std::string> parse_backup(std::string_view body);

/// {"model", "dataset", "data_sha256", "prompts", "scores"}
result<finished_evaluation> parse_evaluation(std::string_view body);

/// What a completion's answer and its chunks have in common.
struct completion_head {
  completion_kind kind = completion_kind::chat;
  std::string id;            // `chatcmpl-...`
  std::int64_t created = 0;  // seconds since 1970
  std::string model;
};

/// A whole answer: `whole` has the finish reason and the counts.
ordered_json form_of_completion(const completion_head& head,
                                const std::string& text,
                                const answer_part& whole, const routing& route);
/// One chunk of a stream; `first` announces the role (chat).
ordered_json form_of_chunk(const completion_head& head, const answer_part& part,
                           bool first);
/// The last chunk: no choices, the usage.
ordered_json form_of_usage_chunk(const completion_head& head,
                                 const answer_part& whole);

ordered_json form_of(const health_report& health);
ordered_json form_of(const routing& route);
ordered_json form_of(const mixture_summary& mixture);
ordered_json form_of(const store_task& task);
ordered_json form_of(const store_example& example);
ordered_json form_of(const store_expert& expert);
/// Without the bytes of z.
ordered_json form_of(const store_expert_version& version);
ordered_json form_of(const store_adaptation& adaptation);
ordered_json form_of(const adapt_progress& progress);
ordered_json form_of(const adapt_report& report);
ordered_json form_of(const train_progress& progress);
ordered_json form_of(const audit_entry& entry);
ordered_json form_of(const seen_by& seen);
ordered_json form_of(const store_evaluation& evaluation);

/// {"object": "list", "data": [...]}
template <class T>
ordered_json list_form(const std::vector<T>& items) {
  ordered_json data = ordered_json::array();
  for (const auto& item : items) data.push_back(form_of(item));
  return {{"object", "list"}, {"data", std::move(data)}};
}

/// {"object": "model", "id": ..., "owned_by": "t2"}
ordered_json model_form(const std::string& id, const std::string& kind);

}  // namespace t2
