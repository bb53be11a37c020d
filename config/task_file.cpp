#include "config/task_file.hpp"

#include <algorithm>
#include <array>
#include <map>

namespace t2 {
namespace {

using nlohmann::json;

constexpr std::size_t longest_id = 256;
constexpr std::array known_fields{"id",     "prompt", "messages", "text",
                                  "answer", "task",   "reward"};
constexpr std::array<std::string_view, 4> roles{"system", "user", "assistant",
                                                "tool"};

error unexpected(std::string_view where, std::string_view field,
                 std::string_view expected, std::string_view found) {
  std::string message(where);
  message += ": ";
  if (!field.empty()) message += std::string(field) + ": ";
  message +=
      "expected " + std::string(expected) + ", found " + std::string(found);
  return {ec::invalid_argument, std::move(message)};
}

/// A field's text; nothing where it is absent or null.
result<std::optional<std::string>> text_field(const json& line,
                                              const char* name,
                                              std::string_view where,
                                              bool number_too) {
  const auto found = line.find(name);
  if (found == line.end() || found->is_null()) {
    return std::optional<std::string>();
  }
  if (found->is_string()) {
    return std::optional(found->get_ref<const std::string&>());
  }
  // Ids and answers are often numbers; their JSON text is what was meant.
  if (number_too && found->is_number()) return std::optional(found->dump());
  return unexpected(where, name, number_too ? "a string or number" : "a string",
                    json_type(*found));
}

/// A name that goes into tables, logs and keys.
result<void> check_name(const std::string& name, const char* field,
                        std::string_view where) {
  const bool clean = std::none_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (!name.empty() && name.size() <= longest_id && clean) return {};
  return unexpected(where, field, "1 to 256 bytes without control characters",
                    clean ? std::to_string(name.size()) + " bytes"
                          : std::string("a control character"));
}

result<std::vector<chat_message>> parse_messages(const json& value,
                                                 std::string_view where) {
  if (!value.is_array() || value.empty()) {
    return unexpected(where, "messages", "an array of messages",
                      value.is_array() ? "an empty one" : json_type(value));
  }
  std::vector<chat_message> messages;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const std::string field = "messages[" + std::to_string(i) + "]";
    const auto& item = value[i];
    if (!item.is_object()) {
      return unexpected(where, field, "an object", json_type(item));
    }
    for (const auto& [key, part] : item.items()) {
      if (key != "role" && key != "content") {
        return unexpected(where, field, "role and content", "'" + key + "'");
      }
      if (!part.is_string()) {
        return unexpected(where, field + "." + key, "a string",
                          json_type(part));
      }
    }
    if (item.size() != 2) {
      return unexpected(where, field, "role and content",
                        item.contains("role") ? "no content" : "no role");
    }
    chat_message message{.role = item["role"], .content = item["content"]};
    if (std::find(roles.begin(), roles.end(), message.role) == roles.end()) {
      return unexpected(where, field + ".role",
                        "system, user, assistant or tool",
                        "'" + message.role + "'");
    }
    messages.push_back(std::move(message));
  }
  return messages;
}

}  // namespace

result<task_line> parse_task_line(const json& value, std::string_view where,
                                  std::string_view default_id) {
  if (!value.is_object()) {
    return unexpected(where, "", "an object", json_type(value));
  }
  task_line line;
  auto id = text_field(value, "id", where, true);
  if (!id) return id.error();
  line.id = std::move(*id).value_or(std::string(default_id));
  if (auto fine = check_name(line.id, "id", where); !fine) return fine.error();

  const auto present = [&](const char* name) {
    const auto found = value.find(name);
    return found != value.end() && !found->is_null();
  };
  if (present("prompt") + present("messages") + present("text") != 1) {
    std::string found;
    for (const auto* name : {"prompt", "messages", "text"}) {
      if (present(name))
        found += (found.empty() ? "" : " and ") + std::string(name);
    }
    return unexpected(where, "", "one of prompt, messages and text",
                      found.empty() ? "none" : found);
  }
  auto answer = text_field(value, "answer", where, true);
  if (!answer) return answer.error();
  line.answer = std::move(*answer);
  if (present("messages")) {
    auto messages = parse_messages(value["messages"], where);
    if (!messages) return messages.error();
    line.prompt = std::move(*messages);
  } else if (present("prompt")) {
    auto prompt = text_field(value, "prompt", where, false);
    if (!prompt) return prompt.error();
    line.prompt = **prompt;
  } else {
    if (line.answer) {
      return unexpected(where, "", "text alone", "text and answer");
    }
    auto text = text_field(value, "text", where, false);
    if (!text) return text.error();
    line.answer = std::move(*text);
  }
  const auto* prompt = std::get_if<std::string>(&line.prompt);
  if (prompt != nullptr && prompt->empty() &&
      line.answer.value_or("").empty()) {
    return unexpected(where, "", "a prompt or an answer with text", "neither");
  }

  for (auto* field : {&line.task, &line.reward}) {
    const char* const name = field == &line.task ? "task" : "reward";
    auto text = text_field(value, name, where, false);
    if (!text) return text.error();
    if (*text) {
      if (auto fine = check_name(**text, name, where); !fine) {
        return fine.error();
      }
    }
    *field = std::move(*text);
  }
  for (const auto& [key, extra] : value.items()) {
    if (std::find(known_fields.begin(), known_fields.end(), key) ==
        known_fields.end()) {
      line.extra[key] = extra;
    }
  }
  return line;
}

json to_json(const task_line& line) {
  json value = line.extra;
  value["id"] = line.id;
  if (const auto* prompt = std::get_if<std::string>(&line.prompt)) {
    value["prompt"] = *prompt;
  } else {
    auto& messages = value["messages"] = json::array();
    for (const auto& turn : std::get<std::vector<chat_message>>(line.prompt)) {
      messages.push_back({{"role", turn.role}, {"content", turn.content}});
    }
  }
  if (line.answer) value["answer"] = *line.answer;
  if (line.task) value["task"] = *line.task;
  if (line.reward) value["reward"] = *line.reward;
  return value;
}

result<std::vector<task_line>> read_task_file(const std::filesystem::path& file,
                                              const task_file_limits& limits) {
  auto reader = jsonl_reader::open(file, limits.line);
  if (!reader) return reader.error();
  std::vector<task_line> lines;
  std::map<std::string, std::size_t> first_seen;  // id → line
  while (true) {
    auto next = reader->next();
    if (!next) return next.error();
    if (!*next) break;
    const auto& [value, number] = **next;
    const std::string where = reader->name() + ":" + std::to_string(number);
    if (lines.size() == limits.lines) {
      return error{ec::exhausted, where + ": expected at most " +
                                      std::to_string(limits.lines) +
                                      " lines, found more"};
    }
    auto line = parse_task_line(value, where, "line-" + std::to_string(number));
    if (!line) return line.error();
    const auto [seen, is_new] = first_seen.emplace(line->id, number);
    if (!is_new) {
      return unexpected(
          where, "id", "an id of its own",
          "'" + line->id + "' of line " + std::to_string(seen->second));
    }
    lines.push_back(std::move(*line));
  }
  if (lines.empty()) {
    return error{ec::invalid_argument,
                 reader->name() + ": expected at least one line, found none"};
  }
  return lines;
}

}  // namespace t2
