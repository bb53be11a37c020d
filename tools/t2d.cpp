#include <unistd.h>

#include <future>
#include <iostream>
#include <span>
#include <string>
#include <thread>

#include "actors/client.hpp"
#include "config/command_line.hpp"
#include "config/exit_code.hpp"
#include "config/logging.hpp"
#include "config/terminal.hpp"
#include "http/api.hpp"
#include "http/server.hpp"
#include "model/mapped_files.hpp"
#include "tools/api_client.hpp"
#include "tools/interrupt.hpp"
#include "tools/serving.hpp"
#include "tools/thread_waiting.hpp"
#include "tools/version.hpp"

namespace t2 {
namespace {

/// Running answers may end in this time once somebody has asked us to stop.
constexpr std::chrono::seconds grace{30};
constexpr std::chrono::seconds time_to_flush{5};

exit_code report(const error& failure) {
  std::cerr << "t2d: " << printable(failure.message) << "\n";
  return exit_code_of(failure.code);
}

/// Logs how loading ends. False: it has failed.
bool wait_until_ready(const runtime_options& options,
                      const interrupt& signals) {
  const api_client self(http_client::settings{
      .socket = options.server.socket, .interrupt = signals.descriptor()});
  for (;;) {
    const auto health = self.health();
    if (!health) return true;  // asked to stop meanwhile
    const std::string state = health->value("state", "");
    if (health->value("ready", false)) {
      log(log_level::info, "ready: " + health->value("model", "") + " on " +
                               health->value("device", "") + " in " +
                               health->value("dtype", "") + ", listening on " +
                               options.server.socket);
      return true;
    }
    if (state != "loading") {
      log(log_level::error, state);
      return state == "stopping";
    }
    if (signals.wait(20)) return true;
  }
}

/// Until a signal comes (true), or files of the model change under it.
bool wait_for_a_signal(client& actors, const interrupt& signals) {
  constexpr int milliseconds = 500;
  while (!signals.wait(milliseconds)) {
    std::promise<bool> damaged;
    actors.health([&damaged](result<health_report> now) {
      damaged.set_value(now && now->damaged);
    });
    if (damaged.get_future().get()) return false;
  }
  return true;
}

exit_code serve(const runtime_options& options, const interrupt& signals) {
  if (auto there = check_model_path(options); !there) {
    return report(there.error());
  }
  if (auto made = make_store_folder(options); !made) {
    return report(made.error());
  }
  const auto limits = daemon_limits_of(options);
  if (!limits) return report(limits.error());
  if (limits->connections < server_limits{}.connections) {
    log(log_level::warn, "open files: there is room for " +
                             std::to_string(limits->connections) +
                             " connections instead of " +
                             std::to_string(server_limits{}.connections));
  }
  auto tcp = tcp_settings_of(options.server);
  if (!tcp) return report(tcp.error());
  auto actors = client::start(options, options.server.socket);
  if (!actors) return report(actors.error());
  const auto metrics = std::make_shared<serving_metrics>();
  auto listening = server::start(
      options.server.socket,
      make_api(**actors, {.search = options.search,
                          .jobs_file = options.store.path + ".jobs",
                          .metrics = metrics}),
      *limits, *std::move(tcp), metrics);
  if (!listening) return report(listening.error());
  log(log_level::info, "t2d " + version() + " with pid " +
                           std::to_string(::getpid()) + " has the store " +
                           options.store.path);
  if (const auto& address = (*listening)->tcp_address(); !address.empty()) {
    log(log_level::info, "listening on " + address);
  }
  const bool ready = wait_until_ready(options, signals);
  const bool intact = !ready || wait_for_a_signal(**actors, signals);
  log(log_level::info, "stopping");
  (*listening)->drain();
  (*actors)->stop(ready && intact ? grace : std::chrono::seconds(0));
  (*listening)->stop(time_to_flush);
  listening->reset();
  log(log_level::info, "stopped");
  if (!intact) return exit_code::damaged;
  return ready ? exit_code::ok : exit_code::unavailable;
}

exit_code run(const std::string& path, std::span<const std::string> arguments) {
  const program self{.name = "t2d",
                     .summary = "Serves t2 on a Unix socket, and on TCP",
                     .version = version()};
  const environment env = process_environment();
  const auto call = parse_command_line(self, arguments, env);
  if (!call) return report(call.error());
  if (!call->text.empty()) {
    std::cout << call->text << std::flush;
    return exit_code::ok;
  }
  const runtime_options& options = call->options.values;
  wait_as_asked(options.engine, env, path, arguments);
  const interrupt signals;
  if (auto begun = start_logging(options.log.level, options.log.file); !begun) {
    return report(begun.error());
  }
  report_lost_pages(self.name, options.log.file);
  return serve(options, signals);
}

}  // namespace
}  // namespace t2

int main(int count, char** values) {
  const std::vector<std::string> arguments(values + 1, values + count);
  return t2::to_int(t2::run(values[0], arguments));
}
