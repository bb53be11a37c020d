#include <algorithm>
#include <array>

#include "config/edit_distance.hpp"
#include "config/model_path.hpp"
#include "config/options.hpp"
#include "config/toml_options.hpp"

namespace t2 {
namespace {

constexpr std::string_view config_variable = "T2_CONFIG";

// Read by the test programs; set in a developer's shell it must not stop t2.
constexpr std::string_view test_assets_variable = "T2_ASSETS";

error prefixed(const std::string& where, const error& failure) {
  return {failure.code, where + ": " + failure.message};
}

result<void> check_variables(const environment& env) {
  std::vector<std::string> known{std::string(config_variable)};
  for (const auto& entry : option_table()) {
    known.push_back(variable_name(entry.declared));
  }
  for (auto at = env.lower_bound("T2_");
       at != env.end() && at->first.starts_with("T2_"); ++at) {
    const auto& name = at->first;
    if (name == test_assets_variable) continue;
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    return error{ec::invalid_argument, "unknown variable '" + name +
                                           "'; the nearest known one is '" +
                                           nearest(name, known) + "'"};
  }
  return {};
}

const given_flag* last_flag(std::span<const given_flag> flags,
                            std::string_view option) {
  const auto found = std::find_if(
      flags.rbegin(), flags.rend(),
      [&](const given_flag& flag) { return flag.option == option; });
  return found == flags.rend() ? nullptr : &*found;
}

std::string expand_home(std::string path, const environment& env) {
  const auto home = variable(env, "HOME");
  if (home.empty() || (path != "~" && !path.starts_with("~/"))) return path;
  return std::string(home) + path.substr(1);
}

/// The file to read, or nothing where none was named and none is there.
std::optional<std::filesystem::path> choose_file(
    std::span<const given_flag> flags, const environment& env) {
  if (const auto* flag = last_flag(flags, config_option().name)) {
    return expand_home(flag->text, env);
  }
  if (const auto named = variable(env, config_variable); !named.empty()) {
    return expand_home(std::string(named), env);
  }
  std::filesystem::path folder(variable(env, "XDG_CONFIG_HOME"));
  if (!folder.is_absolute()) {
    const auto home = variable(env, "HOME");
    if (home.empty()) return std::nullopt;
    folder = std::filesystem::path(home) / ".config";
  }
  const auto file = folder / "t2" / "t2.toml";
  std::error_code failure;
  if (!std::filesystem::exists(file, failure)) return std::nullopt;
  return file;
}

}  // namespace

result<loaded_options> resolve_options(std::span<const given_flag> flags,
                                       const environment& env) {
  if (auto fine = check_variables(env); !fine) return fine.error();
  loaded_options loaded;
  std::map<std::string, toml_value> file_values;
  loaded.config_file = choose_file(flags, env);
  if (loaded.config_file) {
    auto read = read_toml_options(*loaded.config_file);
    if (!read) return read.error();
    file_values = std::move(*read);
  }

  for (const auto& entry : option_table()) {
    const option& declared = entry.declared;
    option_origin origin{.name = declared.name};
    option_value value = declared.value;
    const auto text_of = [&](const std::string& where,
                             std::string_view text) -> result<void> {
      auto parsed = parse_option(declared, text);
      if (!parsed) return prefixed(where, parsed.error());
      value = std::move(*parsed);
      origin.where = where;
      return {};
    };

    const auto in_file = file_values.find(declared.name);
    const auto name = variable_name(declared);
    const auto in_env = variable(env, name);
    result<void> read;
    if (const auto* flag = last_flag(flags, declared.name)) {
      origin.source = option_source::flag;
      read = text_of(flag->flag, flag->text);
    } else if (!in_env.empty()) {
      origin.source = option_source::variable;
      read = text_of(name, in_env);
    } else if (in_file != file_values.end()) {
      origin.source = option_source::file;
      origin.where = in_file->second.where;
      value = in_file->second.value;
    } else if (entry.locate) {
      value = entry.locate(env);
    }
    if (!read) return read.error();
    if (declared.kind == option_kind::path) {
      value = expand_home(std::get<std::string>(std::move(value)), env);
    }
    entry.set(loaded.values, std::move(value));
    loaded.origins.push_back(std::move(origin));
  }
  loaded.values.model.path = model_path_of(loaded.values.model.path, env);
  if (auto fine = loaded.values.validate(); !fine) return fine.error();
  return loaded;
}

result<loaded_options> load_options(std::span<const std::string> arguments,
                                    const environment& env) {
  std::vector<std::reference_wrapper<const option>> options{config_option()};
  for (const auto& entry : option_table()) options.push_back(entry.declared);
  auto given = parse_flags(options, arguments);
  if (!given) return given.error();
  auto loaded = resolve_options(given->flags, env);
  if (loaded) loaded->positionals = std::move(given->positionals);
  return loaded;
}

}  // namespace t2
