#include "http/discretion.hpp"

#include <algorithm>
#include <array>

#include "config/logging.hpp"
#include "config/result.hpp"

namespace t2 {
namespace {

constexpr std::string_view ends_of_path = " \t\r\n\"'`()[]{}<>,;";
constexpr std::string_view before_path = " \t\r\n\"'`([{<,;:=";

bool is_among(char c, std::string_view some) {
  return some.find(c) != std::string_view::npos;
}

bool begins_path(std::string_view text, std::size_t at) {
  if (text[at] != '/' || at + 1 == text.size() ||
      is_among(text[at + 1], ends_of_path)) {
    return false;
  }
  const bool alone = at == 0 || is_among(text[at - 1], before_path);
  return alone && !text.substr(at).starts_with("/v1/");
}

bool is_the_servers_own(std::string_view code) {
  return std::ranges::any_of(
      std::array{ec::corrupt, ec::io, ec::internal},
      [&](ec one) { return to_string(one) == code; });
}

}  // namespace

std::string without_folders(std::string_view text) {
  std::string told;
  for (std::size_t at = 0; at < text.size();) {
    if (!begins_path(text, at)) {
      told += text[at++];
      continue;
    }
    const auto end = std::min(text.find_first_of(ends_of_path, at), text.size());
    auto path = text.substr(at, end - at);
    at = end;
    const auto whole = path.find_last_not_of("/.:");
    const auto rest = path.substr(whole + 1);  // `:` of "file: what"
    path = path.substr(0, whole + 1);
    told += path.substr(path.rfind('/') + 1);
    told += rest.substr(std::min(rest.find_first_not_of('/'), rest.size()));
  }
  return told;
}

void make_discreet(ordered_json& form) {
  const auto failure = form.find("error");
  if (failure == form.end() || !failure->is_object()) return;
  const auto message = failure->find("message");
  if (message == failure->end() || !message->is_string()) return;
  const auto code = failure->find("code");
  const std::string of_code =
      code != failure->end() && code->is_string() ? code->get<std::string>()
                                                  : "";
  const auto text = message->get<std::string>();
  if (is_the_servers_own(of_code)) {
    log(log_level::error, "http: " + of_code + ": " + text);
    *message = "the server failed (" + of_code + "); its log says why";
    return;
  }
  *message = without_folders(text);
}

http_reply told_to(const http_caller& caller, http_reply whole) {
  if (caller.scope == http_scope::administer || whole.status < 400) {
    return whole;
  }
  auto form = ordered_json::parse(whole.body, nullptr, false);
  if (!form.is_object()) return whole;
  make_discreet(form);
  whole.body = dump_json(form);
  return whole;
}

}  // namespace t2
