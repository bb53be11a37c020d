#include "http/router.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "http/error_form.hpp"

namespace t2 {
namespace {

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

bool is_capture(std::string_view segment) {
  return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::pair<std::string_view, std::string_view> cut(std::string_view text,
                                                  char at) {
  const auto end = text.find(at);
  if (end == std::string_view::npos) return {text, {}};
  return {text.substr(0, end), text.substr(end + 1)};
}

result<std::map<std::string, std::string>> parse_query(std::string_view text) {
  std::map<std::string, std::string> query;
  if (text.empty()) return query;
  for (const auto pair : split(text, '&')) {
    const auto [name, value] = cut(pair, '=');
    auto key = decode_url(name, true);
    if (!key) return key.error();
    auto decoded = decode_url(value, true);
    if (!decoded) return decoded.error();
    if (!query.emplace(*key, *std::move(decoded)).second) {
      return error{ec::invalid_argument,
                   "query: '" + *key + "' is given twice"};
    }
  }
  return query;
}

}  // namespace

struct router::found {
  const route* chosen = nullptr;
  std::map<std::string, std::string> capture = {};
  std::vector<std::string> other_methods = {};  // of routes with this path
  std::optional<error> failure = {};
};

void router::add(std::string method, std::string_view pattern,
                 http_handler handler, std::size_t body_bytes) {
  const auto parts = split(pattern, '/');
  routes_.push_back({.of = {.method = std::move(method),
                            .pattern = std::string(pattern),
                            .body_bytes = body_bytes},
                     .segments = {parts.begin(), parts.end()},
                     .handler = std::move(handler)});
}

bool router::allow(std::string_view method, std::string_view pattern,
                   http_scope scope) {
  for (route& one : routes_) {
    if (one.of.method != method || one.of.pattern != pattern) continue;
    one.of.scope = scope;
    return true;
  }
  return false;
}

router::found router::find(std::string_view method,
                           std::string_view target) const {
  // The connection leaves out the body.
  if (method == "HEAD") method = "GET";
  std::vector<std::string> segments;
  for (const auto part : split(cut(target, '?').first, '/')) {
    auto decoded = decode_url(part, false);
    if (!decoded) return {.failure = decoded.error()};
    segments.push_back(*std::move(decoded));
  }
  found best;
  for (const auto& candidate : routes_) {
    if (candidate.segments.size() != segments.size()) continue;
    std::map<std::string, std::string> capture;
    bool fits = true;
    for (std::size_t i = 0; fits && i < segments.size(); ++i) {
      const std::string& want = candidate.segments[i];
      if (is_capture(want)) {
        capture[want.substr(1, want.size() - 2)] = segments[i];
        fits = !segments[i].empty();
      } else {
        fits = want == segments[i];
      }
    }
    if (!fits) continue;
    if (candidate.of.method != method) {
      best.other_methods.push_back(candidate.of.method);
    } else if (!best.chosen) {
      best.chosen = &candidate;
      best.capture = std::move(capture);
    }
  }
  return best;
}

void router::dispatch(std::string_view target, http_request request,
                      std::shared_ptr<exchange> answer) const {
  found match = find(request.method, target);
  const auto [path, query_text] = cut(target, '?');
  if (match.failure) return answer->reply(error_reply(*match.failure));
  if (!match.chosen) {
    const std::string named =
        request.method + " " + std::string(path.substr(0, 200));
    auto missing = error_reply({ec::not_found, named + ": no such path"});
    if (!match.other_methods.empty()) {
      std::string allowed;
      for (const auto& method : match.other_methods) {
        allowed += (allowed.empty() ? "" : ", ") + method;
      }
      missing = error_reply(
          {ec::invalid_argument, named + ": expected method " + allowed});
      missing.status = 405;
      missing.headers.emplace_back("Allow", allowed);
    }
    return answer->reply(std::move(missing));
  }
  auto query = parse_query(query_text);
  if (!query) return answer->reply(error_reply(query.error()));
  request.path = std::string(path);
  request.query = *std::move(query);
  request.capture = std::move(match.capture);
  match.chosen->handler(std::move(request), std::move(answer));
}

const router::facts* router::look_up(std::string_view method,
                                     std::string_view target) const {
  const found match = find(method, target);
  return match.chosen ? &match.chosen->of : nullptr;
}

std::vector<router::facts> router::list() const {
  std::vector<facts> all;
  for (const route& one : routes_) all.push_back(one.of);
  return all;
}

result<std::string> decode_url(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      const int high = i + 2 < text.size() ? digit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? digit(text[i + 2]) : -1;
      if (high < 0 || low < 0 || high + low == 0) {
        return error{ec::invalid_argument,
                     "URL: expected two hexadecimal digits, not 00, after '%'"};
      }
      out += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return out;
}

std::string encode_url(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       (c >= '0' && c <= '9') || c == '-' || c == '.' ||
                       c == '_' || c == '~';
    if (plain) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += digits[byte >> 4];
      out += digits[byte & 15];
    }
  }
  return out;
}

}  // namespace t2
