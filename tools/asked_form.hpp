#pragma once

#include <map>
#include <string>
#include <vector>

#include "adaptation/prompt_form.hpp"
#include "config/command_line.hpp"
#include "config/result.hpp"
#include "config/task_file.hpp"
#include "tools/api_client.hpp"

namespace t2 {

/// --raw and --chat.
std::vector<option> form_flags();

/// "raw", "chat" or, where neither flag was given, nothing;
/// ec::invalid_argument where both were.
result<std::string> chosen_form(const command_arguments& given);

/// What of a line tells whether it is the beginning of a program.
example program_of_line(const task_line& line);

/// In which form a command asks: the one that was chosen, else that of the task
/// that answers, else through the chat template where the model has one. One
/// thread.
class asked_form {
 public:
  /// `chosen`: of chosen_form().
  static result<asked_form> make(const api_client& api, std::string chosen);

  bool has_template() const { return has_template_; }

  /// Of a question to `target`.
  result<prompt_form> of(const std::string& target);
  /// Of a line; the beginning of a program stays raw.
  result<prompt_form> of(const std::string& target, const task_line& line);
  /// That `target` records; empty where it is no task.
  result<std::string> recorded(const std::string& target);

 private:
  asked_form(const api_client& api, std::string chosen, bool has_template)
      : api_(&api), chosen_(std::move(chosen)), has_template_(has_template) {}
  result<prompt_form> of(const std::string& target, const example& asked);

  const api_client* api_;
  std::string chosen_;
  bool has_template_;
  std::map<std::string, std::string> recorded_;
};

}  // namespace t2
