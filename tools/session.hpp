#pragma once

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "config/command_line.hpp"
#include "config/environment.hpp"
#include "config/exit_code.hpp"
#include "config/result.hpp"
#include "config/table.hpp"
#include "tools/interrupt.hpp"
#include "tools/runtime_access.hpp"

namespace t2 {

/// One run of `t2`: what was asked, and where to answer. One thread.
class session {
 public:
  session(const program& whole, const invocation& call, const environment& env,
          const interrupt& signals, std::ostream& out, std::ostream& err)
      : whole_(whole),
        call_(call),
        env_(env),
        signals_(signals),
        out_(out),
        err_(err) {}

  const t2::program& program() const { return whole_; }
  const command_arguments& arguments() const { return call_.arguments; }
  const std::string& positional(std::size_t index) const {
    return call_.arguments.positionals()[index];
  }
  const loaded_options& options() const { return call_.options; }
  const interrupt& signals() const { return signals_; }
  const environment& env() const { return env_; }
  std::ostream& out() { return out_; }
  std::ostream& err() { return err_; }

  /// `--json` was given.
  bool json() const;

  /// The daemon, or the actors started here. The store alone may be ready.
  result<const api_client*> api();
  /// The same, once the model is loaded.
  result<const api_client*> ready_api();

  /// A line on standard error for the user.
  void tell(const std::string& line);
  /// After a signal: how it ended, and the command that goes on or begins
  /// again.
  void tell_interrupted(const std::string& how, const std::string& command);
  void print_json(const ordered_json& value);
  /// On a terminal cut to its width.
  void print_table(const table& rows);

 private:
  result<const api_client*> open(bool with_model);

  const t2::program& whole_;
  const invocation& call_;
  const environment& env_;
  const interrupt& signals_;
  std::ostream& out_;
  std::ostream& err_;
  std::unique_ptr<runtime_access> runtime_;
};

/// A command of `t2`: its declaration and what it does.
struct command_entry {
  command declared;
  std::function<result<exit_code>(session&)> run;
};

// The groups of commands, one file each in tools/commands/.
std::vector<command_entry> ask_commands();  // ask, chat
std::vector<command_entry> bench_commands();
std::vector<command_entry> demo_commands();
std::vector<command_entry> config_commands();  // config, version
std::vector<command_entry> eval_commands();
std::vector<command_entry> expert_commands();
std::vector<command_entry> model_commands();
std::vector<command_entry> pretrain_commands();
std::vector<command_entry> replay_commands();
std::vector<command_entry> reproduce_commands();
std::vector<command_entry> route_commands();
std::vector<command_entry> store_commands();
std::vector<command_entry> task_commands();  // task ..., adapt

/// `--json`, which every command has.
option json_option();

/// 2025-01-31 12:00:00, in UTC.
std::string print_time(std::int64_t microseconds);

/// Writes an expert's, or another, file whole or not at all.
result<void> write_output(const std::string& path, const std::string& bytes);

}  // namespace t2
