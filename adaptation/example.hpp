#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/chat_message.hpp"
#include "config/result.hpp"
#include "config/task_file.hpp"
#include "store/records.hpp"

namespace t2 {

/// A question with its reference answer: a line of the JSONL of tasks,
/// examples and replay (docs/formats.md).
struct example {
  std::string id{};
  std::string prompt{};                // empty where messages are given
  std::vector<chat_message> messages{};
  std::string answer{};
  std::vector<std::string> choices{};  // for the reward `choice`; may be empty
  std::string reward{};                // empty: the task's
  std::string pattern{};               // for `regex`
  std::string tests{};                 // for `python`: the tests' source
  std::string entry_point{};           // for `python`: the function asked for
};

/// ec::invalid_argument: a line without an answer, `choices` that are no list
/// of texts, a field of a reward that is no text. `where` ("file:3") opens the error.
result<example> from_line(const task_line& line, const std::string& where);
task_line to_line(const example& e);

/// All lines of a JSONL text; `label` stands for the file in errors. Ids that
/// are missing become `line-N`; one that comes twice is refused.
result<std::vector<example>> parse_examples(std::string_view jsonl,
                                            const std::string& label);

/// As the store keeps it; all but id, prompt and answer is in extra_json.
result<example> from_record(const store_example& record);
store_example to_record(const example& e);

}  // namespace t2
