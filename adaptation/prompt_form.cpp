#include "adaptation/prompt_form.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "adaptation/python_program.hpp"
#include "config/jsonl.hpp"

namespace t2 {

std::string_view to_string(prompt_form form) {
  return form == prompt_form::chat ? "chat" : "raw";
}

result<prompt_form> parse_prompt_form(std::string_view text) {
  for (const auto form : {prompt_form::raw, prompt_form::chat})
    if (text == to_string(form)) return form;
  return error{ec::invalid_argument,
               "form: expected raw or chat, found '" +
                   std::string(text.substr(0, 64)) + "'"};
}

bool is_bare_prompt(const example& e) {
  return e.messages.empty() && !e.prompt.empty();
}

example asked_as(prompt_form form, const example& e) {
  example asked = e;
  if (form == prompt_form::chat && is_bare_prompt(e)) {
    asked.messages.push_back(
        {.role = "user", .content = std::exchange(asked.prompt, {})});
  }
  return asked;
}

bool completes_a_program(const example& e) {
  if (!is_bare_prompt(e) || e.entry_point.empty()) return false;
  // Without a reference, the prompt tells.
  if (e.answer.empty()) return defines_name(e.prompt, e.entry_point);
  return !defines_name(code_of(e.answer), e.entry_point);
}

prompt_form default_form(bool has_template, const example& e) {
  return has_template && !completes_a_program(e) ? prompt_form::chat
                                                 : prompt_form::raw;
}

prompt_form form_of_example(std::string_view chosen, bool has_template,
                             const example& e) {
  if (chosen.empty()) return default_form(has_template, e);
  return chosen == to_string(prompt_form::chat) ? prompt_form::chat
                                                : prompt_form::raw;
}

prompt_form default_form(bool has_template,
                         std::span<const example> examples) {
  const bool all = std::ranges::all_of(examples, [&](const example& e) {
    return default_form(has_template, e) == prompt_form::chat;
  });
  return all ? prompt_form::chat : prompt_form::raw;
}

result<void> settle_form(store_task& task, bool has_template) {
  std::vector<example> examples;
  for (const store_example& record : task.examples) {
    auto e = from_record(record);
    if (!e) return e.error();
    examples.push_back(*std::move(e));
  }
  if (task.form.empty()) {
    task.form = to_string(default_form(has_template, examples));
    return {};
  }
  const auto form = parse_prompt_form(task.form);
  if (!form) return form.error();
  if (*form == prompt_form::chat) {
    if (has_template) return {};
    return error{ec::invalid_argument,
                 "form: expected raw, for the model has no chat template, "
                 "found chat"};
  }
  for (const example& e : examples)
    if (!e.messages.empty())
      return error{ec::invalid_argument,
                   "form: expected chat, for example " + e.id +
                       " has messages, found raw"};
  return {};
}

prompt_form form_of_queries(const store_task& task) {
  if (task.form == to_string(prompt_form::chat)) return prompt_form::chat;
  const bool talks =
      !task.examples.empty() &&
      std::ranges::all_of(task.examples, [](const store_example& e) {
        const auto extra = parse_json(e.extra_json);
        return extra && extra->is_object() && extra->contains("messages");
      });
  return talks ? prompt_form::chat : prompt_form::raw;
}

}  // namespace t2
