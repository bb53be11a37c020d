#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "config/options.hpp"
#include "config/result.hpp"
#include "tools/api_client.hpp"
#include "tools/interrupt.hpp"

namespace t2 {

class client;
class server;

/// Where a command's requests go: to the daemon that answers on the configured
/// socket, else to the same actors in this process, which are then served on a
/// private socket. Either way the command speaks HTTP.
class runtime_access {
 public:
  /// ec::busy names the process that has the store without answering.
  /// `with_model`: the options must name a model where no daemon runs. `tell`
  /// hears lines for the user.
  static result<std::unique_ptr<runtime_access>> open(
      const loaded_options& options, const interrupt& signals,
      std::function<void(const std::string&)> tell, bool with_model = true);
  /// Stops what it started, in order.
  ~runtime_access();

  const api_client& api() const { return *api_; }

  /// Until the model answers queries; the error is why it never will.
  result<void> wait_until_ready();

 private:
  runtime_access(const interrupt& signals,
                 std::function<void(const std::string&)> tell);

  result<void> start_actors(const runtime_options& options);

  const interrupt& signals_;
  std::function<void(const std::string&)> tell_;
  std::filesystem::path folder_;  // of the private socket; empty: none
  std::unique_ptr<client> actors_;
  std::unique_ptr<server> server_;
  std::unique_ptr<api_client> api_;
};

}  // namespace t2
