#include "tools/api_client.hpp"

#include <optional>
#include <utility>

#include "http/error_form.hpp"
#include "http/router.hpp"

namespace t2 {
namespace {

bool failed(const client_reply& reply) {
  return reply.status >= 400;
}

result<ordered_json> read_json(const client_reply& reply) {
  if (failed(reply)) return error_from_form(reply.status, reply.body);
  auto value = ordered_json::parse(reply.body, nullptr, false);
  if (value.is_discarded()) {
    return error_from_form(reply.status, reply.body);  // says what came
  }
  return value;
}

error ended_early() {
  return {ec::unavailable, "the server ended its answer early"};
}

}  // namespace

result<ordered_json> api_client::send(std::string_view method,
                                      std::string_view target,
                                      std::string_view body,
                                      std::string_view content_type) const {
  const auto reply = http_.request(method, target, body, content_type);
  if (!reply) return reply.error();
  return read_json(*reply);
}

result<ordered_json> api_client::get(std::string_view target) const {
  return send("GET", target, "", "application/json");
}

result<ordered_json> api_client::post(std::string_view target,
                                      const ordered_json& body) const {
  return send("POST", target, dump_json(body), "application/json");
}

result<ordered_json> api_client::remove(std::string_view target) const {
  return send("DELETE", target, "", "application/json");
}

result<ordered_json> api_client::health() const {
  auto reply = http_.request("GET", "/health");
  if (!reply) return reply.error();
  auto report = ordered_json::parse(reply->body, nullptr, false);
  if (report.is_object() && report.contains("state")) return report;
  return error_from_form(reply->status, reply->body);
}

result<std::string> api_client::download(std::string_view target) const {
  auto reply = http_.request("GET", target);
  if (!reply) return reply.error();
  if (failed(*reply)) return error_from_form(reply->status, reply->body);
  return std::move(reply->body);
}

result<ordered_json> api_client::upload(std::string_view target,
                                        std::string_view file) const {
  return send("PUT", target, file, "application/octet-stream");
}

result<ordered_json> api_client::follow(
    std::string_view target, const ordered_json& body,
    const std::function<void(const ordered_json&)>& on_progress,
    on_interrupt policy) const {
  std::optional<result<ordered_json>> outcome;
  std::string job;
  // Before its first progress a job has nothing that could be kept.
  const auto stop = [&] {
    return policy == on_interrupt::keep && !job.empty() && stop_job(job);
  };
  const auto reply = http_.stream(
      "POST", target, dump_json(body),
      [&](server_event event) {
        auto form = ordered_json::parse(event.data, nullptr, false);
        if (event.name == "progress" && form.is_object()) {
          job = form.value("job", "");
          form.erase("job");
          on_progress(form);
        }
        if (event.name == "result") outcome = std::move(form);
        if (event.name == "error") outcome = error_from_form(500, event.data);
        return true;
      },
      stop);
  if (!reply) return reply.error();
  if (failed(*reply)) return error_from_form(reply->status, reply->body);
  if (!outcome) return ended_early();
  return *std::move(outcome);
}

/// Not through http_, whose calls the interrupt ends.
bool api_client::stop_job(const std::string& id) const {
  const http_client other(
      http_client::settings{.socket = http_.chosen().socket});
  const auto reply =
      other.request("POST", "/v1/jobs/" + encode_url(id) + "/stop");
  return reply && !failed(*reply);
}

result<void> api_client::complete(
    std::string_view target, const ordered_json& body,
    const std::function<void(const ordered_json&)>& on_chunk) const {
  std::optional<error> failure;
  bool done = false;
  const auto reply =
      http_.stream("POST", target, dump_json(body), [&](server_event event) {
        if (event.data == "[DONE]") {
          done = true;
          return true;
        }
        const auto form = ordered_json::parse(event.data, nullptr, false);
        if (form.is_object() && form.contains("error")) {
          failure = error_from_form(500, event.data);
        } else if (form.is_object()) {
          on_chunk(form);
        }
        return true;
      });
  if (!reply) return reply.error();
  if (failed(*reply)) return error_from_form(reply->status, reply->body);
  if (failure) return *failure;
  if (!done) return ended_early();
  return {};
}

}  // namespace t2
