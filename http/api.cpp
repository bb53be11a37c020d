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
  const auto microseconds = [] {
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::microseconds>(since).count();
  };
  const auto jobs = std::make_shared<job_board>(
      microseconds, job_journal(options.jobs_file));
  router routes;
  add_state_routes(routes, actors);
  add_completion_routes(routes, actors, options);
  add_model_routes(routes, actors, options);
  add_task_routes(routes, actors, options, jobs);
  add_expert_routes(routes, actors, jobs);
  add_job_routes(routes, jobs);
  add_evaluation_routes(routes, actors);
  add_store_routes(routes, actors);
  add_metrics_routes(routes, actors, options);
  add_document_routes(routes);
  add_page_routes(routes);
  grant_access(routes);
  return routes;
}

}  // namespace t2
