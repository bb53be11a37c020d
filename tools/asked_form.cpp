#include "tools/asked_form.hpp"

#include <variant>

#include "http/router.hpp"

namespace t2 {
namespace {

bool may_be_a_task(const std::string& target) {
  return !target.empty() && target != "base" && target != "auto" &&
         !target.starts_with("auto:") && !target.starts_with("expert:");
}

}  // namespace

example program_of_line(const task_line& line) {
  example e;
  if (const auto* prompt = std::get_if<std::string>(&line.prompt))
    e.prompt = *prompt;
  else
    e.messages = std::get<std::vector<chat_message>>(line.prompt);
  e.answer = line.answer.value_or("");
  const auto name = line.extra.find("entry_point");
  if (name != line.extra.end() && name->is_string())
    e.entry_point = name->get<std::string>();
  return e;
}

std::vector<option> form_flags() {
  return {{.name = "raw",
           .kind = option_kind::boolean,
           .value = false,
           .help = "prompts as they stand, without the model's chat template"},
          {.name = "chat",
           .kind = option_kind::boolean,
           .value = false,
           .help = "prompts as messages, through the model's chat template: "
                   "what is done where it has one"}};
}

result<std::string> chosen_form(const command_arguments& given) {
  const bool raw = given.get<bool>("raw");
  const bool chat = given.get<bool>("chat");
  if (raw && chat)
    return error{ec::invalid_argument,
                 "--raw and --chat: expected one of them, found both"};
  return std::string(raw ? "raw" : chat ? "chat" : "");
}

result<asked_form> asked_form::make(const api_client& api,
                                    std::string chosen) {
  const auto health = api.health();
  if (!health) return health.error();
  return asked_form(api, std::move(chosen),
                    health->value("chat_template", false));
}

result<std::string> asked_form::recorded(const std::string& target) {
  const auto [known, fresh] = recorded_.try_emplace(target);
  if (!fresh || !may_be_a_task(target)) return known->second;
  const auto task = api_->get("/v1/tasks/" + encode_url(target));
  if (task) return known->second = task->value("form", "raw");
  // A name that leads nowhere is the answer's to tell.
  if (task.error().code == ec::not_found) return known->second;
  return task.error();
}

result<prompt_form> asked_form::of(const std::string& target,
                                   const example& asked) {
  if (!chosen_.empty()) return parse_prompt_form(chosen_);
  const auto task = recorded(target);
  if (!task) return task.error();
  if (!task->empty()) return parse_prompt_form(*task);
  return default_form(has_template_, asked);
}

result<prompt_form> asked_form::of(const std::string& target) {
  return of(target, example{});
}

result<prompt_form> asked_form::of(const std::string& target,
                                   const task_line& line) {
  return of(target, program_of_line(line));
}

}  // namespace t2
