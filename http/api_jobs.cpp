#include "http/api_jobs.hpp"

#include <utility>

namespace t2 {

void add_job_routes(router& routes, const job_board_ref& jobs) {
  routes.add("GET", "/v1/jobs", [jobs](http_request, exchange_ref answer) {
    ordered_json data = ordered_json::array();
    for (auto& job : jobs->list()) data.push_back(std::move(job));
    reply_json(*answer, {{"object", "list"}, {"data", std::move(data)}});
  });
  const auto tell = [](exchange& answer, const result<ordered_json>& job) {
    if (!job) return answer.reply(error_reply(job.error()));
    reply_json(answer, *job);
  };
  routes.add("GET", "/v1/jobs/{id}",
             [jobs, tell](http_request request, exchange_ref answer) {
               tell(*answer, jobs->show(request.capture.at("id")));
             });
  const auto cancel = [jobs, tell](http_request request, exchange_ref answer) {
    tell(*answer, jobs->cancel(request.capture.at("id")));
  };
  routes.add("POST", "/v1/jobs/{id}/cancel", cancel);
  routes.add("DELETE", "/v1/jobs/{id}", cancel);
  routes.add("POST", "/v1/jobs/{id}/stop",
             [jobs, tell](http_request request, exchange_ref answer) {
               tell(*answer, jobs->stop(request.capture.at("id")));
             });
}

}  // namespace t2
