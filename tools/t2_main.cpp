#include <filesystem>
#include <iostream>
#include <iterator>
#include <span>

#include "config/logging.hpp"
#include "config/terminal.hpp"
#include "http/error_form.hpp"
#include "model/mapped_files.hpp"
#include "tools/session.hpp"
#include "tools/thread_waiting.hpp"
#include "tools/version.hpp"

namespace t2 {
namespace {

std::vector<command_entry> all_commands() {
  std::vector<command_entry> all;
  for (auto* group :
       {demo_commands, ask_commands, task_commands, replay_commands,
        eval_commands, route_commands, reproduce_commands, expert_commands, pretrain_commands, model_commands,
        store_commands, bench_commands, config_commands}) {
    auto some = group();
    all.insert(all.end(), std::make_move_iterator(some.begin()),
               std::make_move_iterator(some.end()));
  }
  for (auto& one : all) one.declared.options.push_back(json_option());
  return all;
}

exit_code report(const error& failure, bool as_json) {
  if (as_json) {
    std::cerr << dump_json(error_form(failure)) << "\n";
  } else {
    std::cerr << "t2: " << printable(failure.message) << "\n";
  }
  return exit_code_of(failure.code);
}

/// Warnings only, unless somebody has asked for more: the log of the actors
/// that a command may start would stand between the user and the answer.
result<void> begin_logging(const loaded_options& options) {
  std::string level = options.values.log.level;
  for (const auto& origin : options.origins) {
    if (origin.name == "log.level" &&
        origin.source == option_source::built_in) {
      level = "warn";
    }
  }
  return start_logging(level, options.values.log.file);
}

/// Whether this process may run the model itself. Where a daemon listens, most
/// commands only speak to it.
bool may_run_a_model(const std::string& command, const runtime_options& given) {
  if (command == "version" || command == "config" || command == "bench")
    return false;
  if (command == "demo" || command == "reproduce" || command == "pretrain")
    return true;
  std::error_code ignored;
  return !std::filesystem::exists(given.server.socket, ignored);
}

exit_code run(const std::string& path, std::span<const std::string> arguments) {
  const auto commands = all_commands();
  program whole{.name = "t2",
                .summary = "A language model that adapts itself to its tasks",
                .version = version()};
  for (const auto& one : commands) whole.commands.push_back(one.declared);

  const environment env = process_environment();
  const auto call = parse_command_line(whole, arguments, env);
  if (!call) return report(call.error(), false);
  if (!call->text.empty()) {
    std::cout << call->text << std::flush;
    return exit_code::ok;
  }
  // Starting again costs as long as the libraries take to load.
  if (may_run_a_model(call->command, call->options.values))
    wait_as_asked(call->options.values.engine, env, path, arguments);
  const interrupt signals;
  if (auto logging = begin_logging(call->options); !logging) {
    return report(logging.error(), false);
  }
  report_lost_pages(whole.name, call->options.values.log.file);
  for (const auto& one : commands) {
    if (one.declared.name != call->command) continue;
    session here(whole, *call, env, signals, std::cout, std::cerr);
    const auto ended = one.run(here);
    std::cout << std::flush;
    if (ended) return *ended;
    if (signals.signal() != 0)
      return static_cast<exit_code>(128 + signals.signal());
    return report(ended.error(), here.json());
  }
  return exit_code::failed;
}

}  // namespace
}  // namespace t2

int main(int count, char** values) {
  const std::vector<std::string> arguments(values + 1, values + count);
  return t2::to_int(t2::run(values[0], arguments));
}
