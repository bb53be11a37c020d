#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/result.hpp"

namespace t2 {

/// How a request of a load ended. The last three misbehaved on purpose.
enum class load_end {
  ok,
  busy,        // refused: 429 or 503
  failed,      // another status, an error in the stream, or no connection
  incomplete,  // not exactly one whole answer
  cancelled,   // by a signal here
  vanished,
  half_request,
  slow_reader
};

/// One request of a load and what came of it. Times in seconds since it was
/// due.
struct load_outcome {
  load_end end = load_end::failed;
  std::string target;
  std::size_t prompt = 0;
  double latency = 0;
  std::optional<double> first_token = {};
  std::vector<double> gaps = {};  // between pieces of text
  std::string text = {};
  std::int64_t prompt_tokens = 0;
  std::int64_t answer_tokens = 0;
  std::optional<error> problem = {};
};

}  // namespace t2
