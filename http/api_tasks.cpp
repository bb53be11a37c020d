#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "http/api_jobs.hpp"

namespace t2 {
namespace {

constexpr std::size_t task_body_bytes = 64u << 20;

constexpr const char* adaptation_kind = "adaptation";

void adapt(client& actors, const search_options& defaults,
           const job_board_ref& jobs, const http_request& request,
           exchange_ref answer) {
  auto parsed = parse_adapt(request.capture.at("name"), request.body, defaults);
  if (!parsed) return answer->reply(error_reply(parsed.error()));
  parsed->caller = request.caller.name;
  const bool background = parsed->background;
  const std::string task = parsed->task;
  run_job<adapt_progress, adapt_report>(
      actors, jobs, adaptation_kind, task, std::move(answer), background,
      [&](auto on_progress, auto done) {
        return actors.adapt(*std::move(parsed), std::move(on_progress),
                            std::move(done));
      });
}

/// A task and where its adaptation stands: two questions, one answer.
class task_showing {
 public:
  task_showing(exchange_ref answer, job_board_ref jobs)
      : answer_(std::move(answer)), jobs_(std::move(jobs)) {}

  void add_task(const result<store_task>& task) {
    const std::lock_guard lock(mutex_);
    if (task) {
      form_ = form_of(*task);
      job_ = jobs_->live(adaptation_kind, task->name);
    } else {
      failure_ = task.error();  // says more than that of its adaptations
    }
    settle();
  }
  void add_adaptations(const result<std::vector<store_adaptation>>& all) {
    const std::lock_guard lock(mutex_);
    if (!all) {
      if (!failure_) failure_ = all.error();
    } else if (!all->empty()) {
      newest_ = all->back();
    }
    settle();
  }

 private:
  void settle() {
    if (--waiting_ > 0) return;
    if (failure_) return answer_->reply(error_reply(*failure_));
    const char* state = "none";
    if (newest_) state = newest_->accepted ? "adapted" : "refused";
    if (job_) state = "adapting";
    form_["state"] = state;
    form_["job"] = job_ ? ordered_json(*job_) : ordered_json(nullptr);
    form_["adaptation"] = newest_ ? form_of(*newest_) : ordered_json(nullptr);
    reply_json(*answer_, form_);
  }

  std::mutex mutex_;
  exchange_ref answer_;
  job_board_ref jobs_;
  int waiting_ = 2;
  ordered_json form_;
  std::optional<std::string> job_;
  std::optional<store_adaptation> newest_;
  std::optional<error> failure_;
};

}  // namespace

void add_task_routes(router& routes, client& actors,
                     const api_options& options, const job_board_ref& jobs) {
  const auto one = [](const store_task& task) { return form_of(task); };
  routes.add("GET", "/v1/tasks", [&actors](http_request, exchange_ref answer) {
    actors.list_tasks(
        reply_with<std::vector<store_task>>(answer, list_form<store_task>));
  });
  routes.add(
      "POST", "/v1/tasks",
      [&actors, one](http_request request, exchange_ref answer) {
        auto task = parse_task(request.body);
        if (!task) return answer->reply(error_reply(task.error()));
        actors.add_task_for(request.caller.name, *std::move(task),
                            reply_with<store_task>(answer, one, 201));
      },
      task_body_bytes);
  routes.add("GET", "/v1/tasks/{name}",
             [&actors, jobs](http_request request, exchange_ref answer) {
               const auto showing =
                   std::make_shared<task_showing>(std::move(answer), jobs);
               const std::string name = request.capture.at("name");
               actors.get_task(name, [showing](result<store_task> task) {
                 showing->add_task(task);
               });
               actors.task_adaptations(
                   name, [showing](result<std::vector<store_adaptation>> all) {
                     showing->add_adaptations(all);
                   });
             });
  routes.add("DELETE", "/v1/tasks/{name}",
             [&actors](http_request request, exchange_ref answer) {
               const std::string name = request.capture.at("name");
               actors.remove_task_for(request.caller.name, name,
                                      reply_with<bool>(answer, [name](bool) {
                                        return deleted_form(name);
                                      }));
             });
  routes.add("POST", "/v1/tasks/{name}/adapt",
             [&actors, jobs, defaults = options.search](http_request request,
                                                        exchange_ref answer) {
               adapt(actors, defaults, jobs, request, std::move(answer));
             });
  routes.add("GET", "/v1/tasks/{name}/adaptations",
             [&actors](http_request request, exchange_ref answer) {
               actors.task_adaptations(
                   request.capture.at("name"),
                   reply_with<std::vector<store_adaptation>>(
                       answer, list_form<store_adaptation>));
             });
}

}  // namespace t2
