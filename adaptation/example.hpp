#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/result.hpp"
#include "store/records.hpp"
#include "text/chat_template.hpp"

namespace t2 {

/// A question with its reference answer: a line of the JSONL of tasks,
/// examples and replay (docs/formats.md).
struct example {
  std::string id;
  std::string prompt;                  // empty where messages are given
  std::vector<chat_message> messages;
  std::string answer;
  std::vector<std::string> choices;    // for the reward `choice`; may be empty
  std::string reward;                  // empty: the task's
};

/// One line. `where` ("file:line") opens the error (ec::invalid_argument):
/// unknown keys, wrong types, both or neither of prompt and messages.
/// An example without an id gets `fallback_id`.
result<example> parse_example(std::string_view json, const std::string& where,
                              const std::string& fallback_id);

/// All lines of a JSONL text; empty lines are skipped, ids must be unique.
/// `label` stands for the file in errors.
result<std::vector<example>> parse_examples(std::string_view jsonl,
                                            const std::string& label);

/// The line (without the newline) that parse_example reads back.
std::string to_json(const example& e);

result<example> from_record(const store_example& record);
store_example to_record(const example& e);

}  // namespace t2
