#include <charconv>

#include "http/api_routes.hpp"
#include "http/json_forms.hpp"

namespace t2 {
namespace {

void decompose(client& actors, const http_request& request,
               exchange_ref answer) {
  auto targets = parse_decompose(request.body);
  if (!targets) return answer->reply(error_reply(targets.error()));
  const auto stream = std::make_shared<progress_stream>(answer);
  const ticket run = actors.decompose(
      *std::move(targets),
      [stream](std::int64_t done, std::int64_t total) {
        stream->progress({{"done", done}, {"total", total}});
      },
      [stream](result<std::int64_t> computed) {
        if (!computed) return stream->fail(computed.error());
        stream->finish({{"decomposed", *computed}});
      });
  cancel_on_leave(*answer, actors, run);
}

void audit(client& actors, const http_request& request, exchange_ref answer) {
  std::int64_t last = 100;
  const auto asked = request.query.find("last");
  if (asked != request.query.end()) {
    const std::string& text = asked->second;
    const auto [end, failed] =
        std::from_chars(text.data(), text.data() + text.size(), last);
    if (failed != std::errc() || end != text.data() + text.size() || last < 1 ||
        last > 100'000) {
      return answer->reply(
          error_reply({ec::invalid_argument,
                       "last: expected a number from 1 to 100000, "
                       "found '" +
                           text.substr(0, 64) + "'"}));
    }
  }
  actors.audit(last, reply_with<std::vector<audit_entry>>(
                         answer, list_form<audit_entry>));
}

}  // namespace

void add_store_routes(router& routes, client& actors) {
  routes.add("POST", "/v1/svd",
             [&actors](http_request request, exchange_ref answer) {
               decompose(actors, request, std::move(answer));
             });
  routes.add("GET", "/v1/store/check",
             [&actors](http_request, exchange_ref answer) {
               actors.check_store(reply_with<std::vector<std::string>>(
                   answer, [](const std::vector<std::string>& problems) {
                     return ordered_json{{"ok", problems.empty()},
                                         {"problems", problems}};
                   }));
             });
  routes.add("POST", "/v1/store/backup",
             [&actors](http_request request, exchange_ref answer) {
               auto path = parse_backup(request.body);
               if (!path) return answer->reply(error_reply(path.error()));
               actors.backup_store(*path,
                                   reply_with<std::string>(
                                       answer, [](const std::string& written) {
                                         return ordered_json{{"path", written}};
                                       }));
             });
  routes.add("GET", "/v1/audit",
             [&actors](http_request request, exchange_ref answer) {
               audit(actors, request, std::move(answer));
             });
}

}  // namespace t2
