#include "http/error_form.hpp"

#include <array>
#include <optional>

namespace t2 {
namespace {

constexpr std::array failures = {
    ec::invalid_argument, ec::not_found, ec::already_exists, ec::corrupt,
    ec::incompatible,     ec::io,        ec::busy,           ec::cancelled,
    ec::deadline,         ec::exhausted, ec::unavailable,    ec::internal};

constexpr const char* no_such_model = "model_not_found";

}  // namespace

int status_of(ec code) {
  switch (code) {
    case ec::none: return 200;
    case ec::invalid_argument: return 400;
    case ec::not_found: return 404;
    case ec::already_exists: return 409;
    case ec::incompatible: return 409;
    case ec::exhausted: return 422;
    case ec::cancelled: return 499;  // as nginx has it: nobody reads it
    case ec::corrupt: return 500;
    case ec::io: return 500;
    case ec::internal: return 500;
    case ec::busy: return 429;
    case ec::unavailable: return 503;
    case ec::deadline: return 504;
  }
  return 500;
}

ordered_json error_form(const error& failure) {
  const char* type = failure.code == ec::busy ? "rate_limit_error"
                     : status_of(failure.code) < 500 ? "invalid_request_error"
                                                     : "server_error";
  return {{"error",
           {{"message", failure.message},
             {"type", type},
             {"param", nullptr},
            {"code", to_string(failure.code)}}}};
}

http_reply error_reply(const error& failure) {
  http_reply reply{.status = status_of(failure.code),
                   .body = dump_json(error_form(failure))};
  if (reply.status == 429 || reply.status == 503) {
    reply.headers.emplace_back("Retry-After", "1");
  }
  return reply;
}

http_reply model_error(const error& failure) {
  ordered_json form = error_form(failure);
  form["error"]["param"] = "model";
  form["error"]["code"] = no_such_model;
  return {.status = status_of(ec::not_found), .body = dump_json(form)};
}

error error_from_form(int status, const std::string& body) {
  const auto form = nlohmann::json::parse(body, nullptr, false);
  const auto text = [](const nlohmann::json& of, const char* name) {
    const auto it = of.find(name);
    return it != of.end() && it->is_string()
               ? std::optional(it->get<std::string>())
               : std::nullopt;
  };
  if (form.is_object() && form.contains("error") && form["error"].is_object()) {
    const nlohmann::json& found = form["error"];
    const auto message = text(found, "message");
    const auto code = text(found, "code");
    if (message && code == no_such_model) return {ec::not_found, *message};
    for (const ec known : failures) {
      if (message && code && to_string(known) == *code) {
        return {known, *message};
      }
    }
  }
  return {ec::internal, "expected JSON from the server, found status " +
                            std::to_string(status) + " and '" +
                            body.substr(0, 80) + "'"};
}

}  // namespace t2
