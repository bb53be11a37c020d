#include "tools/load_plan.hpp"

#include <array>
#include <utility>
#include <variant>

#include "tools/seeded_draw.hpp"

namespace t2 {
namespace {

constexpr std::uint64_t stream_of_words = 2;
constexpr std::array words{
    "the", "a",    "old",  "cat",   "dog",  "has",   "had",  "and",
    "to",  "was",  "saw",  "one",   "two",  "day",   "big",  "red",
    "in",  "park", "with", "ball",  "said", "asked", "girl", "boy",
    "on",  "tree", "her",  "found", "new",  "happy", "sun",  "house"};

}  // namespace

load_plan::load_plan(std::vector<load_prompt> prompts,
                     std::vector<std::string> targets, ordered_json common)
    : prompts_(std::move(prompts)),
      targets_(std::move(targets)),
      common_(std::move(common)) {
  common_["stream"] = true;
  common_["stream_options"] = {{"include_usage", true}};
}

load_request load_plan::request(std::size_t number) const {
  const std::size_t turns = targets_.empty() ? 1 : targets_.size();
  const std::size_t which = number / turns % prompts_.size();
  const load_prompt& prompt = prompts_[which];
  const std::string& target =
      targets_.empty() ? prompt.target : targets_[number % turns];
  ordered_json body = prompt.body;
  body["model"] = target;
  body.update(common_);
  return {.path = prompt.path,
          .body = dump_json(body),
          .target = target,
          .prompt = which};
}

std::vector<load_prompt> prompts_of(const std::vector<task_line>& lines) {
  std::vector<load_prompt> prompts;
  for (const auto& line : lines) {
    load_prompt one{.path = "/v1/completions",
                    .body = ordered_json::object(),
                    .target = line.task.value_or("auto")};
    if (const auto* text = std::get_if<std::string>(&line.prompt)) {
      one.body["prompt"] = *text;
    } else {
      one.path = "/v1/chat/completions";
      one.body["messages"] = to_json(line).at("messages");
    }
    prompts.push_back(std::move(one));
  }
  return prompts;
}

std::vector<load_prompt> synthetic_prompts(std::size_t count,
                                           std::size_t words_each,
                                           std::uint64_t seed) {
  std::vector<load_prompt> prompts;
  std::uint64_t drawn = 0;
  for (std::size_t i = 0; i < count; ++i) {
    std::string text;
    for (std::size_t w = 0; w < words_each; ++w) {
      const double draw = seeded_draw(seed, stream_of_words, drawn++);
      if (w > 0) text += ' ';
      text += words[static_cast<std::size_t>(draw * words.size())];
    }
    prompts.push_back({.path = "/v1/completions",
                       .body = {{"prompt", std::move(text)}},
                       .target = "auto"});
  }
  return prompts;
}

}  // namespace t2
