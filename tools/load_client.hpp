#pragma once

#include <chrono>

#include "http/http_client.hpp"
#include "tools/interrupt.hpp"
#include "tools/load_outcome.hpp"
#include "tools/load_plan.hpp"

namespace t2 {

/// How a client treats the server.
enum class manners { good, vanishes, sends_half, reads_slowly };

/// One client of a load: sends a request on a connection of its own and
/// watches the answer. Blocks; any thread.
class load_client {
 public:
  load_client(const http_client& http, const interrupt& signals)
      : http_(http), signals_(signals) {}

  /// `due`: when the request was to be sent.
  load_outcome send(const load_request& request, manners how,
                    std::chrono::steady_clock::time_point due) const;

 private:
  load_outcome ask(const load_request& request,
                   std::chrono::steady_clock::time_point due) const;
  void vanish(const load_request& request) const;
  void send_half(const load_request& request) const;
  void read_slowly(const load_request& request) const;

  const http_client& http_;
  const interrupt& signals_;
};

}  // namespace t2
