#include <charconv>

#include "http/api_jobs.hpp"

namespace t2 {
namespace {

constexpr std::size_t file_body_bytes = 512u << 20;
constexpr std::size_t training_body_bytes = 256u << 20;

/// `name`, or `name@version` where the query says `version=N`.
result<std::string> reference_of(const http_request& request) {
  const std::string& name = request.capture.at("name");
  const auto version = request.query.find("version");
  if (version == request.query.end()) return name;
  std::int64_t number = 0;
  const std::string& text = version->second;
  const auto [end, failed] =
      std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || end != text.data() + text.size() || number < 1) {
    return error{ec::invalid_argument,
                 "version: expected a number from 1, found '" +
                     text.substr(0, 64) + "'"};
  }
  return name + "@" + text;
}

void send_file(exchange& answer, const store_expert_version& version) {
  http_reply file{.content_type = "application/octet-stream"};
  file.body.assign(reinterpret_cast<const char*>(version.z_safetensors.data()),
                   version.z_safetensors.size());
  file.headers = {{"Content-Disposition",
                   "attachment; filename=\"" + version.expert + "-" +
                       std::to_string(version.version) + ".safetensors\""},
                  {"T2-Sha256", version.sha256}};
  answer.reply(std::move(file));
}

void train(client& actors, const job_board_ref& jobs,
           const http_request& request, exchange_ref answer) {
  auto spec = parse_training(request.capture.at("name"), request.body);
  if (!spec) return answer->reply(error_reply(spec.error()));
  spec->caller = request.caller.name;
  const bool background = spec->background;
  const std::string name = spec->name;
  run_job<train_progress, store_expert_version>(
      actors, jobs, "training", name, std::move(answer), background,
      [&](auto on_progress, auto done) {
        return actors.train_expert(*std::move(spec), std::move(on_progress),
                                   std::move(done));
      });
}

}  // namespace

void add_expert_routes(router& routes, client& actors,
                       const job_board_ref& jobs) {
  const auto one = [](const store_expert_version& version) {
    return form_of(version);
  };
  routes.add("GET", "/v1/experts",
             [&actors](http_request, exchange_ref answer) {
               actors.list_experts(reply_with<std::vector<store_expert>>(
                   answer, list_form<store_expert>));
             });
  routes.add("GET", "/v1/experts/{name}",
             [&actors, one](http_request request, exchange_ref answer) {
               auto reference = reference_of(request);
               if (!reference) {
                 return answer->reply(error_reply(reference.error()));
               }
               actors.get_expert(*reference,
                                 reply_with<store_expert_version>(answer, one));
             });
  routes.add("DELETE", "/v1/experts/{name}",
             [&actors](http_request request, exchange_ref answer) {
               const std::string name = request.capture.at("name");
               actors.remove_expert_for(request.caller.name, name,
                                        reply_with<bool>(answer, [name](bool) {
                                          return deleted_form(name);
                                        }));
             });
  routes.add("GET", "/v1/experts/{name}/versions",
             [&actors](http_request request, exchange_ref answer) {
               actors.expert_history(
                   request.capture.at("name"),
                   reply_with<std::vector<store_expert_version>>(
                       answer, list_form<store_expert_version>));
             });
  routes.add("GET", "/v1/experts/{name}/file",
             [&actors](http_request request, exchange_ref answer) {
               auto reference = reference_of(request);
               if (!reference) {
                 return answer->reply(error_reply(reference.error()));
               }
               actors.get_expert(
                   *reference, [answer](result<store_expert_version> version) {
                     if (!version) {
                       return answer->reply(error_reply(version.error()));
                     }
                     send_file(*answer, *version);
                   });
             });
  routes.add("GET", "/v1/experts/{name}/heatmap",
             [&actors](http_request request, exchange_ref answer) {
               auto reference = reference_of(request);
               if (!reference) {
                 return answer->reply(error_reply(reference.error()));
               }
               actors.heatmap_of(*reference,
                                 reply_with<expert_heatmap>(
                                     answer, [](const expert_heatmap& map) {
                                       return form_of(map);
                                     }));
             });
  const auto import = [&actors, one](http_request request,
                                     exchange_ref answer) {
    actors.import_expert_for(
        request.caller.name, request.capture.at("name"),
        std::move(request.body),
        [answer, one](result<store_expert_version> version) {
          if (version) return reply_json(*answer, one(*version), 201);
          http_reply refused = error_reply(version.error());
          // It is the request's file that is, and nothing of ours.
          if (version.error().code == ec::corrupt) refused.status = 400;
          answer->reply(std::move(refused));
        });
  };
  routes.add("PUT", "/v1/experts/{name}/file", import, file_body_bytes);
  routes.add("POST", "/v1/experts/{name}/file", import, file_body_bytes);
  routes.add(
      "POST", "/v1/experts/{name}/rollback",
      [&actors](http_request request, exchange_ref answer) {
        auto version = parse_rollback(request.body);
        if (!version) {
          return answer->reply(error_reply(version.error()));
        }
        actors.rollback_expert_for(
            request.caller.name, request.capture.at("name"), *version,
            reply_with<store_expert>(answer, [](const store_expert& expert) {
              return form_of(expert);
            }));
      });
  routes.add(
      "POST", "/v1/experts/{name}/train",
      [&actors, jobs](http_request request, exchange_ref answer) {
        train(actors, jobs, request, std::move(answer));
      },
      training_body_bytes);
}

}  // namespace t2
