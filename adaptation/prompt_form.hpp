#pragma once

#include <span>
#include <string>
#include <string_view>

#include "adaptation/example.hpp"
#include "config/result.hpp"
#include "store/records.hpp"

namespace t2 {

/// How a bare prompt is put to the model: as it stands, or as what a user says,
/// through the model's chat template. Messages go through it in either form.
enum class prompt_form { raw, chat };

std::string_view to_string(prompt_form form);
/// "raw" or "chat"; ec::invalid_argument names the field `form`.
result<prompt_form> parse_prompt_form(std::string_view text);

/// The example as it is asked: under `chat` a bare prompt becomes a message of
/// the user. For encoding alone: rewards read the example as it was given.
example asked_as(prompt_form form, const example& e);

/// Whether the form makes a difference to it.
bool is_bare_prompt(const example& e);

/// Whether the prompt is the beginning of a program that the answer goes on
/// with (reward `python`): its `entry_point` is not defined by the answer, or,
/// where there is none, by the prompt.
bool completes_a_program(const example& e);

/// The form of one example where nobody has chosen: chat where the model has a
/// template, but for the beginning of a program.
prompt_form default_form(bool has_template, const example& e);

/// The form of one example: `chosen` ("raw", "chat"), or where that is empty the
/// default.
prompt_form form_of_example(std::string_view chosen, bool has_template,
                             const example& e);

/// The default for examples that are asked alike: raw when one of them has to
/// be.
prompt_form default_form(bool has_template, std::span<const example> examples);

/// Decides the form of a new task whose `form` is empty, and checks a chosen
/// one: ec::invalid_argument for chat where the model has no template, and for
/// raw where an example is a conversation.
result<void> settle_form(store_task& task, bool has_template);

/// How a task is asked: its form; a task of conversations alone, of whatever
/// form, is a chat.
prompt_form form_of_queries(const store_task& task);

}  // namespace t2
