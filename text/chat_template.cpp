#include "text/chat_template.hpp"

#include <ctime>

#include "text/bridge.hpp"
#include "text/special_tokens.hpp"

namespace t2 {

using namespace text_bridge;

namespace {

constexpr std::uint64_t max_file_bytes = 16 << 20;

/// What a clock on the wall shows, in seconds since it showed 1970.
std::int64_t local_seconds(chat_template::clock::time_point now) {
  const std::time_t seconds = chat_template::clock::to_time_t(now);
  std::tm local{};
  if (!::localtime_r(&seconds, &local)) return seconds;
  return seconds + local.tm_gmtoff;
}

}  // namespace

result<std::optional<chat_template>> chat_template::load(
    const std::filesystem::path& folder) {
  const auto tokens = special_tokens::load(folder);
  if (!tokens) return tokens.error();
  auto config = read_file(folder / "tokenizer_config.json", max_file_bytes);
  if (!config) return config.error();
  auto jinja = read_file(folder / "chat_template.jinja", max_file_bytes);
  if (!jinja) return jinja.error();
  auto loaded = attempt<std::optional<chat_template>>(
      [&]() -> std::optional<chat_template> {
        const auto files = text_rust::read_template(
            bytes_of(config->value_or("")), bytes_of(jinja->value_or("")),
            jinja->has_value());
        if (!files.found) return std::nullopt;
        chat_template made;
        made.source_ = string_of(files.source);
        made.tokens_.assign(tokens->spelled.begin(), tokens->spelled.end());
        return made;
      });
  if (!loaded)
    return error{loaded.error().code,
                 folder.string() + ": " + loaded.error().message};
  return loaded;
}

result<chat_template> chat_template::parse(std::string_view source,
                                           const special_tokens& tokens) {
  return attempt<chat_template>([&] {
    const auto files =
        text_rust::read_template(bytes_of(""), bytes_of(source), true);
    chat_template made;
    made.source_ = string_of(files.source);
    made.tokens_.assign(tokens.spelled.begin(), tokens.spelled.end());
    return made;
  });
}

result<std::string> chat_template::render(
    std::span<const chat_message> messages, bool add_generation_prompt,
    clock::time_point now, std::string_view variables) const {
  return render_within(default_fuel, messages, add_generation_prompt, now,
                       variables);
}

result<std::string> chat_template::render_within(
    std::uint64_t fuel, std::span<const chat_message> messages,
    bool add_generation_prompt, clock::time_point now,
    std::string_view variables) const {
  std::vector<text_rust::Message> turns;
  turns.reserve(messages.size());
  for (const auto& message : messages)
    turns.push_back({bytes_of(message.role), bytes_of(message.content)});
  std::vector<text_rust::NamedToken> tokens;
  tokens.reserve(tokens_.size());
  for (const auto& [name, content] : tokens_)
    tokens.push_back({bytes_of(name), bytes_of(content)});
  return attempt<std::string>([&] {
    return string_of(text_rust::render_template(
        bytes_of(source_), {turns.data(), turns.size()},
        {tokens.data(), tokens.size()}, add_generation_prompt,
        bytes_of(defaults_), bytes_of(variables), local_seconds(now), fuel));
  });
}

result<void> check_template_variables(std::string_view json) {
  const auto done = attempt<bool>([&] {
    text_rust::check_variables(bytes_of(json));
    return true;
  });
  return done ? result<void>{} : done.error();
}

result<void> chat_template::set_defaults(std::string variables) {
  if (auto fine = check_template_variables(variables); !fine) return fine;
  defaults_ = std::move(variables);
  return {};
}

}  // namespace t2
