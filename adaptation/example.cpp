#include "adaptation/example.hpp"

#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "config/jsonl.hpp"

namespace t2 {
namespace {

using nlohmann::json;

std::string dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

/// Fields that rewards read, by their names in JSON.
struct text_field {
  const char* name;
  std::string example::*member;
};
constexpr text_field text_fields[] = {{"pattern", &example::pattern},
                                      {"tests", &example::tests},
                                      {"entry_point", &example::entry_point}};

}  // namespace

result<example> from_line(const task_line& line, const std::string& where) {
  example e;
  e.id = line.id;
  if (const auto* prompt = std::get_if<std::string>(&line.prompt))
    e.prompt = *prompt;
  else
    e.messages = std::get<std::vector<chat_message>>(line.prompt);
  if (!line.answer)
    return error{ec::invalid_argument,
                 where + ": expected an answer, found none"};
  e.answer = *line.answer;
  e.reward = line.reward.value_or("");
  for (const auto& [name, member] : text_fields) {
    const auto field = line.extra.find(name);
    if (field == line.extra.end() || field->is_null()) continue;
    if (!field->is_string())
      return error{ec::invalid_argument, where + ": " + name +
                                             ": expected a string, found " +
                                             std::string(json_type(*field))};
    e.*member = field->get<std::string>();
  }
  const auto choices = line.extra.find("choices");
  if (choices == line.extra.end() || choices->is_null()) return e;
  bool texts = choices->is_array();
  for (const json& choice : *choices) texts = texts && choice.is_string();
  if (!texts)
    return error{ec::invalid_argument,
                 where + ": choices: expected an array of strings"};
  e.choices = choices->get<std::vector<std::string>>();
  return e;
}

task_line to_line(const example& e) {
  task_line line;
  line.id = e.id;
  if (e.messages.empty())
    line.prompt = e.prompt;
  else
    line.prompt = e.messages;
  line.answer = e.answer;
  if (!e.reward.empty()) line.reward = e.reward;
  if (!e.choices.empty()) line.extra["choices"] = e.choices;
  for (const auto& [name, member] : text_fields)
    if (!(e.*member).empty()) line.extra[name] = e.*member;
  return line;
}

result<std::vector<example>> parse_examples(std::string_view jsonl,
                                            const std::string& label) {
  jsonl_reader reader{std::make_unique<std::istringstream>(std::string{jsonl}),
                      label};
  std::vector<example> examples;
  std::set<std::string> ids;
  for (;;) {
    auto next = reader.next();
    if (!next) return next.error();
    if (!*next) return examples;
    const std::string number = std::to_string((*next)->number);
    const std::string where = label + ":" + number;
    const auto line = parse_task_line((*next)->value, where, "line-" + number);
    if (!line) return line.error();
    auto e = from_line(*line, where);
    if (!e) return e.error();
    if (!ids.insert(e->id).second)
      return error{ec::invalid_argument,
                   where + ": id: expected one of its own, found '" + e->id +
                       "' again"};
    examples.push_back(*std::move(e));
  }
}

result<example> from_record(const store_example& record) {
  const std::string where = "example " + record.id;
  auto extra = parse_json(record.extra_json);
  if (!extra || !extra->is_object())
    return error{ec::corrupt, where + ": extra: expected a JSON object"};
  json value = *std::move(extra);
  value["id"] = record.id;
  value["answer"] = record.answer;
  if (!value.contains("messages")) value["prompt"] = record.prompt;
  const auto line = parse_task_line(value, where, record.id);
  if (!line) return line.error();
  return from_line(*line, where);
}

store_example to_record(const example& e) {
  json extra = to_json(to_line(e));
  for (const char* column : {"id", "prompt", "answer"}) extra.erase(column);
  return {.id = e.id,
          .prompt = e.prompt,
          .answer = e.answer,
          .extra_json = dump(extra)};
}

}  // namespace t2
