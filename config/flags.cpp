#include "config/flags.hpp"

#include <algorithm>
#include <boost/program_options.hpp>
#include <map>

#include "config/edit_distance.hpp"

namespace t2 {
namespace {

namespace po = boost::program_options;

using option_names = std::map<std::string, const option*>;  // by flag

error unknown_flag(std::string_view token, const option_names& names) {
  const auto dash = std::min(token.find_first_not_of('-'), token.size());
  token = token.substr(0, token.find('='));
  const std::string word(token.substr(std::min(dash, token.size())));
  std::vector<std::string> flags;
  for (const auto& [flag, option] : names) flags.push_back(flag);
  std::string message = "unknown flag '" + std::string(token) + "'";
  if (const auto known = nearest(word, flags); !known.empty()) {
    message += "; the nearest known one is '--" + known + "'";
  }
  return {ec::invalid_argument, message};
}

error no_value(const std::string& flag) {
  return {ec::invalid_argument, flag + ": expected a value, found none"};
}

/// A list that is given in parts becomes one.
void add_flag(std::vector<given_flag>& flags, const option& declared,
              given_flag flag) {
  const auto former = std::find_if(
      flags.begin(), flags.end(),
      [&](const given_flag& other) { return other.option == declared.name; });
  if (declared.kind == option_kind::list && former != flags.end()) {
    former->text += "," + flag.text;
  } else {
    flags.push_back(std::move(flag));
  }
}

}  // namespace

result<given_arguments> parse_flags(
    std::span<const std::reference_wrapper<const option>> options,
    std::span<const std::string> arguments) {
  po::options_description description;
  option_names names;
  const auto add = [&](const std::string& flag, const option& option) {
    if (flag.empty() || !names.emplace(flag, &option).second) return;
    description.add_options()(flag.c_str(), po::value<std::string>(), "");
  };
  for (const option& option : options) {
    add(flag_name(option), option);
    add(option.short_flag, option);
  }

  const auto end = std::find(arguments.begin(), arguments.end(), "--");
  std::vector<std::string> tokens(arguments.begin(), end);
  for (auto& token : tokens) {
    // Said in full, so that a boolean never takes the next word for its value.
    const auto known =
        names.find(token.starts_with("--") ? token.substr(2) : "");
    if (known != names.end() && known->second->kind == option_kind::boolean) {
      token += "=true";
    }
  }
  given_arguments given;
  try {
    using namespace po::command_line_style;
    const auto parsed =
        po::command_line_parser(tokens)
            .options(description)
            .style(allow_long | long_allow_adjacent | long_allow_next)
            .run();
    for (const auto& item : parsed.options) {
      if (item.string_key.empty()) {
        const auto& token = item.value.at(0);
        if (token.size() > 1 && token.front() == '-') {
          return unknown_flag(token, names);
        }
        given.positionals.push_back(token);
      } else {
        const std::string flag = "--" + item.string_key;
        const auto& text = item.value.at(0);
        // A value that looks like a flag must be written --name=--value.
        if (item.original_tokens.size() > 1 && text.starts_with("--")) {
          return no_value(flag);
        }
        const option& declared = *names.at(item.string_key);
        add_flag(given.flags, declared,
                 {.option = declared.name, .flag = flag, .text = text});
      }
    }
  } catch (const po::unknown_option& unknown) {
    return unknown_flag(unknown.get_option_name(), names);
  } catch (const po::error_with_option_name& failure) {
    return no_value(failure.get_option_name());
  } catch (const std::exception& failure) {
    return error{ec::invalid_argument,
                 std::string("command line: ") + failure.what()};
  }
  if (end != arguments.end()) {
    given.positionals.insert(given.positionals.end(), end + 1, arguments.end());
  }
  return given;
}

}  // namespace t2
