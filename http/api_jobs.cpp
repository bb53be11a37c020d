#include "http/api_jobs.hpp"

#include <utility>

#include "http/discretion.hpp"

namespace t2 {

void add_job_routes(router& routes, const job_board_ref& jobs) {
  // How a job has failed names files of the server.
  const auto told = [](const http_request& request, ordered_json job) {
    if (request.caller.scope != http_scope::administer) make_discreet(job);
    return job;
  };
  routes.add("GET", "/v1/jobs", [jobs, told](http_request request,
                                             exchange_ref answer) {
    ordered_json data = ordered_json::array();
    for (auto& job : jobs->list())
      data.push_back(told(request, std::move(job)));
    reply_json(*answer, {{"object", "list"}, {"data", std::move(data)}});
  });
  const auto tell = [](exchange& answer, const result<ordered_json>& job) {
    if (!job) return answer.reply(error_reply(job.error()));
    reply_json(answer, *job);
  };
  routes.add("GET", "/v1/jobs/{id}",
             [jobs, tell, told](http_request request, exchange_ref answer) {
               auto job = jobs->show(request.capture.at("id"));
               if (job) job = told(request, *std::move(job));
               tell(*answer, job);
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
