#include "config/toml_options.hpp"

#include <toml++/toml.h>
#include <algorithm>
#include <sstream>

#include "config/byte_size.hpp"
#include "config/edit_distance.hpp"
#include "config/options.hpp"
#include "config/text_file.hpp"

namespace t2 {
namespace {

constexpr std::int64_t largest_file = mebibyte;

std::string place(const std::string& file, const toml::source_region& region) {
  return file + ":" + std::to_string(region.begin.line);
}

std::string found(const toml::node& node) {
  if (const auto* text = node.as_string()) {
    return "'" + text->get() + "' (a string)";
  }
  std::ostringstream out;
  switch (node.type()) {
    case toml::node_type::integer:
      out << node.as_integer()->get() << " (an integer)";
      break;
    case toml::node_type::floating_point:
      out << node.as_floating_point()->get() << " (a float)";
      break;
    case toml::node_type::boolean:
      out << (node.as_boolean()->get() ? "true" : "false") << " (a boolean)";
      break;
    case toml::node_type::array: out << "an array"; break;
    case toml::node_type::table: out << "a table"; break;
    default: out << "a date or time"; break;
  }
  return out.str();
}

/// The value in the type that the option wants, or nothing where TOML's type
/// is another one. Numbers in quotes are not numbers; sizes may be either.
std::optional<option_value> convert(const option& option,
                                    const toml::node& node) {
  const auto text = node.value_exact<std::string>();
  const auto number = node.value_exact<std::int64_t>();
  switch (option.kind) {
    case option_kind::boolean:
      if (const auto yes = node.value_exact<bool>()) return *yes;
      return std::nullopt;
    case option_kind::integer:
      if (number) return *number;
      return std::nullopt;
    case option_kind::real:
      if (number) return static_cast<double>(*number);
      if (const auto real = node.value_exact<double>()) return *real;
      return std::nullopt;
    case option_kind::bytes:
      if (number) return *number;
      [[fallthrough]];
    case option_kind::duration:
    case option_kind::text:
    case option_kind::path:
      if (!text) return std::nullopt;
      if (auto value = parse_option(option, *text)) return std::move(*value);
      return std::nullopt;
    case option_kind::list: {
      const auto* array = node.as_array();
      if (array == nullptr) return std::nullopt;
      std::vector<std::string> parts;
      for (const auto& element : *array) {
        const auto* part = element.as_string();
        if (part == nullptr) return std::nullopt;
        parts.push_back(part->get());
      }
      return parts;
    }
  }
  return std::nullopt;
}

error unknown_key(const std::string& where, const std::string& key) {
  std::vector<std::string> known;
  for (const auto& entry : option_table()) {
    const auto& name = entry.declared.name;
    // A right key in the wrong section is nearer than any other spelling.
    const auto leaf = [](const std::string& dotted) {
      return dotted.substr(dotted.rfind('.') + 1);
    };
    if (leaf(name) == leaf(key)) {
      known = {name};
      break;
    }
    known.push_back(name);
  }
  return {ec::invalid_argument, where + ": unknown key '" + key +
                                    "'; the nearest known one is '" +
                                    nearest(key, known) + "'"};
}

error unknown_section(const std::string& where, const std::string& section) {
  std::vector<std::string> known;
  for (const auto& entry : option_table()) {
    const auto& name = entry.declared.name;
    known.push_back(name.substr(0, name.find('.')));
  }
  return {ec::invalid_argument, where + ": unknown section [" + section +
                                    "]; the nearest known one is [" +
                                    nearest(section, known) + "]"};
}

bool is_section(std::string_view name) {
  const auto& table = option_table();
  const std::string prefix = std::string(name) + ".";
  return std::any_of(table.begin(), table.end(), [&](const auto& entry) {
    return entry.declared.name.starts_with(prefix);
  });
}

}  // namespace

result<std::map<std::string, toml_value>> read_toml_options(
    const std::filesystem::path& file) {
  const auto text = read_text_file(file, largest_file);
  if (!text) return text.error();
  toml::table root;
  try {
    root = toml::parse(*text);
  } catch (const toml::parse_error& failure) {
    return error{ec::invalid_argument, place(file.string(), failure.source()) +
                                           ": expected TOML, found: " +
                                           std::string(failure.description())};
  }

  std::map<std::string, toml_value> values;
  for (const auto& [section_key, section] : root) {
    const std::string section_name(section_key.str());
    const std::string section_place =
        place(file.string(), section_key.source());
    if (!is_section(section_name)) {
      if (section.is_table()) {
        return unknown_section(section_place, section_name);
      }
      return unknown_key(section_place, section_name);
    }
    if (!section.is_table()) {
      return error{ec::invalid_argument, section_place + ": " + section_name +
                                             ": expected a section [" +
                                             section_name + "], found " +
                                             found(section)};
    }
    for (const auto& [key, node] : *section.as_table()) {
      const std::string name = section_name + "." + std::string(key.str());
      const std::string where = place(file.string(), key.source());
      const auto& table = option_table();
      const auto entry =
          std::find_if(table.begin(), table.end(), [&](const auto& candidate) {
            return candidate.declared.name == name;
          });
      if (entry == table.end()) return unknown_key(where, name);
      auto value = convert(entry->declared, node);
      if (!value || !check_option(entry->declared, *value)) {
        return error{ec::invalid_argument, where + ": " + name + ": expected " +
                                               expectation(entry->declared) +
                                               ", found " + found(node)};
      }
      values.emplace(name, toml_value{std::move(*value), where});
    }
  }
  return values;
}

}  // namespace t2
