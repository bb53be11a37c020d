#include "http/api_routes.hpp"
#include "http/json_forms.hpp"

namespace t2 {

void add_state_routes(router& routes, client& actors) {
  routes.add("GET", "/health", [&actors](http_request, exchange_ref answer) {
    actors.health([answer](result<health_report> health) {
      if (!health) return answer->reply(error_reply(health.error()));
      // Whoever watches wants the report, ready or not: the status tells.
      reply_json(*answer, form_of(*health), health->ready ? 200 : 503);
    });
  });
}

}  // namespace t2
