#include "http/api_routes.hpp"
#include "http/json_forms.hpp"

namespace t2 {

void add_evaluation_routes(router& routes, client& actors) {
  routes.add("GET", "/v1/seen",
             [&actors](http_request request, exchange_ref answer) {
               const auto model = request.query.find("model");
               actors.seen(model == request.query.end() ? "" : model->second,
                           reply_with<std::vector<seen_by>>(
                               answer, list_form<seen_by>));
             });
  routes.add("GET", "/v1/evaluations",
             [&actors](http_request, exchange_ref answer) {
               actors.list_evaluations(
                   reply_with<std::vector<store_evaluation>>(
                       answer, list_form<store_evaluation>));
             });
  routes.add("POST", "/v1/evaluations",
             [&actors](http_request request, exchange_ref answer) {
               auto measured = parse_evaluation(request.body);
               if (!measured)
                 return answer->reply(error_reply(measured.error()));
               measured->caller = request.caller.name;
               actors.add_evaluation(
                   *std::move(measured),
                   reply_with<store_evaluation>(
                       answer,
                       [](const store_evaluation& kept) {
                         return form_of(kept);
                       },
                       201));
             });
}

}  // namespace t2
