#include "http/api.hpp"

#include <chrono>

#include "http/api_routes.hpp"

namespace t2 {

router make_api(client& actors, api_options options) {
  if (!options.now) {
    options.now = [] {
      const auto since = std::chrono::system_clock::now().time_since_epoch();
      return std::chrono::duration_cast<std::chrono::seconds>(since).count();
    };
  }
  router routes;
  add_state_routes(routes, actors);
  add_completion_routes(routes, actors, options);
  add_task_routes(routes, actors, options);
  add_expert_routes(routes, actors);
  add_evaluation_routes(routes, actors);
  add_store_routes(routes, actors);
  add_page_routes(routes);
  add_metrics_routes(routes, actors, options);
  add_document_routes(routes);
  grant_access(routes);
  return routes;
}

}  // namespace t2
