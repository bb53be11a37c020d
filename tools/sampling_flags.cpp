#include "tools/sampling_flags.hpp"

#include <chrono>

namespace t2 {

std::vector<option> sampling_flags() {
  constexpr std::int64_t plenty = 1'000'000'000;
  return {
      {.name = "max_tokens",
       .kind = option_kind::integer,
       .value = std::int64_t{256},
       .help = "most tokens of an answer",
       .unit = "N",
       .least = 1,
       .most = plenty},
      {.name = "temperature",
       .kind = option_kind::real,
       .value = 0.0,
       .help = "0: always the likeliest token",
       .low = 0,
       .high = 100},
      {.name = "top_p",
       .kind = option_kind::real,
       .value = 1.0,
       .help = "draw from the likeliest tokens of this probability together",
       .low = 0,
       .high = 1},
      {.name = "top_k",
       .kind = option_kind::integer,
       .value = std::int64_t{0},
       .help = "draw from this many likeliest tokens; 0: from all",
       .unit = "N",
       .most = plenty},
      {.name = "min_p",
       .kind = option_kind::real,
       .value = 0.0,
       .help = "leave out tokens below this share of the likeliest",
       .low = 0,
       .high = 1},
      {.name = "repetition_penalty",
       .kind = option_kind::real,
       .value = 1.0,
       .help = "above 1: repeat less",
       .low = 0.01,
       .high = 100},
      {.name = "seed",
       .kind = option_kind::integer,
       .value = std::int64_t{0},
       .help = "of the draws",
       .unit = "N"},
      {.name = "stop",
       .kind = option_kind::list,
       .value = std::vector<std::string>(),
       .help = "end before any of these texts"},
      {.name = "deadline",
       .kind = option_kind::duration,
       .value = std::chrono::milliseconds(0),
       .help = "time that the answer may take; 0: as the server says"},
  };
}

ordered_json sampling_form(const command_arguments& given) {
  ordered_json form = ordered_json::object();
  // Where there is none the server draws one: what t2 prints is repeatable.
  form["seed"] = given.get<std::int64_t>("seed");
  for (const char* name : {"max_tokens", "top_k"}) {
    if (given.given(name)) form[name] = given.get<std::int64_t>(name);
  }
  for (const char* name :
       {"temperature", "top_p", "min_p", "repetition_penalty"}) {
    if (given.given(name)) form[name] = given.get<double>(name);
  }
  if (given.given("stop")) {
    form["stop"] = given.get<std::vector<std::string>>("stop");
  }
  const auto deadline = given.get<std::chrono::milliseconds>("deadline");
  if (deadline.count() > 0) {
    form["deadline_seconds"] = std::chrono::duration<double>(deadline).count();
  }
  return form;
}

}  // namespace t2
