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

/// `background`: the answer is a job.
struct adapt_form : adapt_request {
  bool background = false;
};
struct training_form : training_spec {
  bool background = false;
};

result<store_task> parse_task(std::string_view body);
/// `defaults` stands for the search's options that the body leaves out.
result<adapt_form> parse_adapt(std::string task, std::string_view body,
                                  const search_options& defaults);
result<training_form> parse_training(std::string expert, std::string_view body);
/// {"version": N}
result<std::int64_t> parse_rollback(std::string_view body);
/// {"targets": "all"}
result<std::string> parse_decompose(std::string_view body);
/// {"path": "..."}
result<std::string> parse_backup(std::string_view body);

/// {"model", "dataset", "data_sha256", "prompts", "scores"}
result<finished_evaluation> parse_evaluation(std::string_view body);

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
ordered_json form_of(const expert_heatmap& map);
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

/// {"id": ..., "object": "model", ...}; `created` in seconds, as with OpenAI.
/// What stands on the base has it as its `parent`.
ordered_json model_form(const std::string& id, const std::string& kind,
                        std::int64_t created);

}  // namespace t2
