#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "actors/client.hpp"
#include "config/result.hpp"
#include "http/json.hpp"

namespace t2 {

// The JSON of /v1/chat/completions and /v1/completions: OpenAI's, with what t2
// adds (docs/formats.md).

enum class completion_kind { chat, text };

struct completion_request {
  /// One for each choice, in the order of their indices: of every prompt its
  /// `choices_per_prompt`, told apart by their streams.
  std::vector<query> questions;
  std::size_t choices_per_prompt = 1;
  std::string model;  // as it was named, for the answer
  bool seeded = false;  // the request has a seed
  bool stream = false;
  bool include_usage = false;  // a last chunk with the usage
};

/// Checks names, types and ranges; ec::invalid_argument. What OpenAI has and
/// t2 has not (tools, images, ...) is refused by name, members without effect
/// on the answer are passed over.
result<completion_request> parse_completion(std::string_view body,
                                            completion_kind kind);

/// What a completion's answer and its chunks have in common.
struct completion_head {
  completion_kind kind = completion_kind::chat;
  std::string id = {};           // `chatcmpl-...`
  std::int64_t created = 0;      // seconds since 1970
  std::string model = {};
  std::string fingerprint = {};  // of the base; empty: not known yet
  bool include_usage = false;    // chunks say `usage: null`
};

struct completion_usage {
  std::int64_t prompt_tokens = 0;
  std::int64_t answer_tokens = 0;
};

/// One choice, whole: `last` has the finish reason and the counts.
struct completion_choice {
  std::string text = {};
  std::vector<answer_token> tokens = {};
  bool report_tokens = false;  // `logprobs` were asked for
  routing route = {};
  answer_part last = {};
};

ordered_json form_of_completion(const completion_head& head,
                                std::span<const completion_choice> choices,
                                const completion_usage& usage);
/// One chunk of a stream, of one choice; `first` announces the role (chat).
ordered_json form_of_chunk(const completion_head& head, std::size_t index,
                           const answer_part& part, bool first,
                           bool report_tokens = false);
/// The last chunk: no choices, the usage.
ordered_json form_of_usage_chunk(const completion_head& head,
                                 const completion_usage& usage,
                                 double log_probability);

}  // namespace t2
