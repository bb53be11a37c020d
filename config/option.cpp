#include "config/option.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "config/byte_size.hpp"
#include "config/duration.hpp"

namespace t2 {
namespace {

constexpr std::int64_t unbounded = std::numeric_limits<std::int64_t>::max();

std::string print_real(double value) {
  std::array<char, 64> text{};
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return std::string(text.data(), end);
}

template <class T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  const char* const end = text.data() + text.size();
  const auto [at, failure] = std::from_chars(text.data(), end, value);
  if (failure != std::errc{} || at != end) return std::nullopt;
  return value;
}

std::optional<bool> parse_boolean(std::string_view text) {
  if (text == "true" || text == "1" || text == "yes" || text == "on") {
    return true;
  }
  if (text == "false" || text == "0" || text == "no" || text == "off") {
    return false;
  }
  return std::nullopt;
}

std::vector<std::string> split_at_commas(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    parts.emplace_back(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return parts;
}

std::string join(const std::vector<std::string>& parts,
                 std::string_view between) {
  std::string text;
  for (const auto& part : parts) {
    if (&part != &parts.front()) text += between;
    text += part;
  }
  return text;
}

std::string bounds(const option& option, std::string (*print)(std::int64_t)) {
  if (option.most == unbounded) return " of at least " + print(option.least);
  return " from " + print(option.least) + " to " + print(option.most);
}

std::string print_milliseconds(std::int64_t time) {
  return print_duration(std::chrono::milliseconds(time));
}

std::string print_whole(std::int64_t number) {
  return std::to_string(number);
}

error unexpected(const option& option, std::string_view found) {
  return {ec::invalid_argument, "expected " + expectation(option) +
                                    ", found '" + std::string(found) + "'"};
}

std::optional<option_value> read(const option& option, std::string_view text) {
  const auto lift = [](auto value) -> std::optional<option_value> {
    if (!value) return std::nullopt;
    return option_value(*value);
  };
  switch (option.kind) {
    case option_kind::boolean: return lift(parse_boolean(text));
    case option_kind::integer: return lift(parse_number<std::int64_t>(text));
    case option_kind::real: return lift(parse_number<double>(text));
    case option_kind::bytes: return lift(parse_byte_size(text));
    case option_kind::duration: return lift(parse_duration(text));
    case option_kind::text:
    case option_kind::path: return std::string(text);
    case option_kind::list: return split_at_commas(text);
  }
  return std::nullopt;
}

bool within(const option& option, std::int64_t number) {
  return number >= option.least && number <= option.most;
}

bool is_valid(const option& option, const option_value& value) {
  switch (option.kind) {
    case option_kind::boolean: return std::holds_alternative<bool>(value);
    case option_kind::integer:
    case option_kind::bytes: {
      const auto* number = std::get_if<std::int64_t>(&value);
      return number != nullptr && within(option, *number);
    }
    case option_kind::duration: {
      const auto* time = std::get_if<std::chrono::milliseconds>(&value);
      return time != nullptr && within(option, time->count());
    }
    case option_kind::real: {
      const auto* number = std::get_if<double>(&value);  // NaN fails both
      return number != nullptr && *number >= option.low &&
             *number <= option.high;
    }
    case option_kind::text:
    case option_kind::path: {
      const auto* text = std::get_if<std::string>(&value);
      if (text == nullptr) return false;
      if (option.accepts) return option.accepts(*text);
      return option.choices.empty() ||
             std::find(option.choices.begin(), option.choices.end(), *text) !=
                 option.choices.end();
    }
    case option_kind::list: {
      const auto* parts = std::get_if<std::vector<std::string>>(&value);
      // A comma or an empty part would not survive print and parse.
      return parts != nullptr &&
             std::none_of(parts->begin(), parts->end(), [](const auto& part) {
               return part.empty() || part.find(',') != std::string::npos;
             });
    }
  }
  return false;
}

}  // namespace

std::string flag_name(const option& option) {
  std::string flag = option.name;
  for (char& c : flag) {
    if (c == '.' || c == '_') c = '-';
  }
  return flag;
}

std::string variable_name(const option& option) {
  std::string name = "T2_";
  for (const char c : option.name) {
    name += c == '.' || c == '-'   ? '_'
            : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A')
                                   : c;
  }
  return name;
}

std::string placeholder(const option& option) {
  if (option.kind == option_kind::boolean) return {};
  if (!option.unit.empty()) return option.unit;
  if (!option.choices.empty()) return join(option.choices, "|");
  switch (option.kind) {
    case option_kind::boolean: return {};
    case option_kind::text: return "TEXT";
    case option_kind::path: return "PATH";
    case option_kind::integer: return "N";
    case option_kind::bytes: return "SIZE";
    case option_kind::real: return "X";
    case option_kind::duration: return "TIME";
    case option_kind::list: return "A,B,...";
  }
  return {};
}

std::string expectation(const option& option) {
  if (!option.expects.empty()) return option.expects;
  if (!option.choices.empty()) return "one of " + join(option.choices, ", ");
  switch (option.kind) {
    case option_kind::boolean: return "true or false";
    case option_kind::text: return "text";
    case option_kind::path: return "a path";
    case option_kind::integer:
      return "a whole number" + bounds(option, print_whole);
    case option_kind::bytes:
      return "a size such as 512MiB" + bounds(option, print_byte_size);
    case option_kind::duration:
      return "a duration such as 30s" + bounds(option, print_milliseconds);
    case option_kind::real:
      return option.high == std::numeric_limits<double>::max()
                 ? "a number of at least " + print_real(option.low)
                 : "a number from " + print_real(option.low) + " to " +
                       print_real(option.high);
    case option_kind::list: return "a list such as a,b,c without empty parts";
  }
  return {};
}

result<option_value> parse_option(const option& option, std::string_view text) {
  auto value = read(option, text);
  if (!value || !is_valid(option, *value)) return unexpected(option, text);
  return std::move(*value);
}

result<void> check_option(const option& option, const option_value& value) {
  if (is_valid(option, value)) return {};
  return unexpected(option, print_option(option, value));
}

std::string print_option(const option& option, const option_value& value) {
  struct printer {
    const t2::option& option;
    std::string operator()(bool yes) const { return yes ? "true" : "false"; }
    std::string operator()(std::int64_t number) const {
      const bool size = option.kind == option_kind::bytes && number >= 0;
      return size ? print_byte_size(number) : std::to_string(number);
    }
    std::string operator()(double number) const { return print_real(number); }
    std::string operator()(std::chrono::milliseconds time) const {
      return print_duration(time);
    }
    std::string operator()(const std::string& text) const { return text; }
    std::string operator()(const std::vector<std::string>& parts) const {
      return join(parts, ",");
    }
  };
  return std::visit(printer{option}, value);
}

}  // namespace t2
