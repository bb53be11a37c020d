#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/chat_message.hpp"
#include "config/result.hpp"
#include "text/special_tokens.hpp"

namespace t2 {

/// Whether it is a JSON object that chat_template::render takes as variables, or
/// nothing.
result<void> check_template_variables(std::string_view json);

/// How a model wants a conversation written, in Jinja with the settings and
/// functions that transformers gives to templates: trim_blocks, lstrip_blocks,
/// raise_exception, strftime_now, tojson, Python's string methods. Immutable:
/// one object serves every thread.
///
/// A template is a program of a stranger. What it may do is bounded by fuel:
/// every step, every value and every byte of text is paid for, so that a
/// render ends within about a second and 100 MB, in a text or in
/// ec::exhausted, at the same place on every machine.
class chat_template {
 public:
  using clock = std::chrono::system_clock;

  /// Steps cost 8, values in lists 32, bytes of text 1 each time they are
  /// made or searched.
  static constexpr std::uint64_t default_fuel = 1 << 26;

  /// Reads `folder`/chat_template.jinja, else the key chat_template of
  /// `folder`/tokenizer_config.json: a text, or a list of which the one named
  /// "default" is taken. nullopt: the model has none. A template that does
  /// not parse is ec::corrupt.
  static result<std::optional<chat_template>> load(
      const std::filesystem::path& folder);

  /// The same of a template's text, which may print these tokens.
  static result<chat_template> parse(std::string_view source,
                                     const special_tokens& tokens);

  /// The conversation as text. `add_generation_prompt` opens the assistant's
  /// turn. A conversation that the template itself refuses (raise_exception)
  /// is ec::invalid_argument with its words. `now` is what strftime_now tells.
  /// `variables`: a JSON object of names that the template may read, such as
  /// {"enable_thinking": false}, before those of set_defaults; or nothing.
  result<std::string> render(std::span<const chat_message> messages,
                             bool add_generation_prompt,
                             clock::time_point now = clock::now(),
                             std::string_view variables = {}) const;

  /// The same with another budget.
  result<std::string> render_within(std::uint64_t fuel,
                                    std::span<const chat_message> messages,
                                    bool add_generation_prompt,
                                    clock::time_point now,
                                    std::string_view variables = {}) const;

  /// Variables of every render: a JSON object of at most 64 KiB, or nothing.
  /// ec::invalid_argument for anything else, and for the names that render()
  /// sets itself: messages, add_generation_prompt, tools, documents.
  result<void> set_defaults(std::string variables);
  const std::string& defaults() const { return defaults_; }

 private:
  std::string source_;
  std::string defaults_;
  /// Name and content, such as bos_token and <s>.
  std::vector<std::pair<std::string, std::string>> tokens_;
};

}  // namespace t2
