#include "http/api_routes.hpp"
#include "http/json_forms.hpp"

namespace t2 {
namespace {

/// The whole report, or for those who have shown no key what they may know.
/// Why something has failed is for administrators: it names files.
ordered_json health_form(const health_report& health,
                         const http_caller& caller) {
  if (caller.scope == http_scope::administer) return form_of(health);
  const std::string state = health.state.substr(0, health.state.find(':'));
  if (caller.scope == http_scope::open) {
    return {{"ready", health.ready}, {"state", state}};
  }
  health_report told = health;
  told.state = state;
  return form_of(told);
}

}  // namespace

void add_state_routes(router& routes, client& actors) {
  const auto report = [&actors](int status_unready) {
    return [&actors, status_unready](http_request request,
                                     exchange_ref answer) {
      actors.health([answer, status_unready, caller = request.caller](
                        result<health_report> health) {
        if (!health) return answer->reply(error_reply(health.error()));
        http_reply whole{
            .status = health->ready ? 200 : status_unready,
            .body = dump_json(health_form(*health, caller))};
        if (whole.status == 503) whole.headers = {{"Retry-After", "1"}};
        answer->reply(std::move(whole));
      });
    };
  };
  routes.add("GET", "/health", report(200));  // that the process serves
  routes.add("GET", "/ready", report(503));
}

}  // namespace t2
