#pragma once

#include <cstddef>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/chat_message.hpp"
#include "config/jsonl.hpp"
#include "config/result.hpp"

namespace t2 {

/// A line of the JSONL of tasks, examples and replay (docs/formats.md).
struct task_line {
  std::string id = {};
  /// The plain prompt, or the conversation that a chat template renders.
  std::variant<std::string, std::vector<chat_message>> prompt = {};
  std::optional<std::string> answer = {};
  std::optional<std::string> task = {};    // name of the task it belongs to
  std::optional<std::string> reward = {};  // name of the reward that judges it
  /// The fields that are none of these, as `choices`; an object.
  nlohmann::json extra = nlohmann::json::object();

  bool operator==(const task_line&) const = default;
};

struct task_file_limits {
  json_limits line = {};
  std::size_t lines = 1'000'000;
};

/// One line from JSON. `where` stands before errors (`file:3`), `default_id`
/// in for a missing id. ec::invalid_argument.
result<task_line> parse_task_line(const nlohmann::json& value,
                                  std::string_view where,
                                  std::string_view default_id);

/// The object that parse_task_line reads back to an equal line.
nlohmann::json to_json(const task_line& line);

/// All lines of a file, in order; ids default to `line-N`. Errors as
/// `file:line: expected ..., found ...`; an id that comes twice is refused,
/// and so is a file without a line.
result<std::vector<task_line>> read_task_file(
    const std::filesystem::path& file, const task_file_limits& limits = {});

}  // namespace t2
