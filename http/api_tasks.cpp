#include "http/api_routes.hpp"
#include "http/json_forms.hpp"

namespace t2 {
namespace {

constexpr std::size_t task_body_bytes = 64u << 20;

void adapt(client& actors, const search_options& defaults,
           const http_request& request, exchange_ref answer) {
  auto parsed = parse_adapt(request.capture.at("name"), request.body, defaults);
  if (!parsed) return answer->reply(error_reply(parsed.error()));
  const auto stream = std::make_shared<progress_stream>(answer);
  const ticket search = actors.adapt(
      *std::move(parsed),
      [stream](adapt_progress progress) {
        stream->progress(form_of(progress));
      },
      [stream](result<adapt_report> done) {
        if (!done) return stream->fail(done.error());
        stream->finish(form_of(*done));
      });
  cancel_on_leave(*answer, actors, search);
}

}  // namespace

void add_task_routes(router& routes, client& actors,
                     const api_options& options) {
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
        actors.add_task(*std::move(task),
                        reply_with<store_task>(answer, one, 201));
      },
      task_body_bytes);
  routes.add("GET", "/v1/tasks/{name}",
             [&actors, one](http_request request, exchange_ref answer) {
               actors.get_task(request.capture.at("name"),
                               reply_with<store_task>(answer, one));
             });
  routes.add("DELETE", "/v1/tasks/{name}",
             [&actors](http_request request, exchange_ref answer) {
               const std::string name = request.capture.at("name");
               actors.remove_task(name, reply_with<bool>(answer, [name](bool) {
                                    return deleted_form(name);
                                  }));
             });
  routes.add("POST", "/v1/tasks/{name}/adapt",
             [&actors, defaults = options.search](http_request request,
                                                  exchange_ref answer) {
               adapt(actors, defaults, request, std::move(answer));
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
