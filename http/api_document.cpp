#include "http/api_routes.hpp"
#include "http/openapi.hpp"

namespace t2 {

void add_document_routes(router& routes) {
  routes.add("GET", "/openapi.json", [](http_request, exchange_ref answer) {
    answer->reply({.body = openapi_document});
  });
}

}  // namespace t2
