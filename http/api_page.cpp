#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "config/sha256.hpp"
#include "http/api_routes.hpp"
#include "http/dashboard.hpp"

namespace t2 {
namespace {

std::string base64(std::span<const std::byte> bytes) {
  constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t j = i; j < i + 3; ++j) {
      group <<= 8;
      if (j < bytes.size()) group |= std::to_integer<std::uint32_t>(bytes[j]);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      const bool there = i + j <= bytes.size();
      text += there ? digits[(group >> (18 - 6 * j)) & 63] : '=';
    }
  }
  return text;
}

/// The source expression that lets the page's own `element` through.
std::string hash_of(std::string_view page, const std::string& element) {
  const std::string open = "<" + element + ">";
  const auto begin = page.find(open) + open.size();
  const auto end = page.find("</" + element + ">", begin);
  sha256 hash;
  hash.update(page.substr(begin, end - begin));
  return "'sha256-" + base64(hash.digest()) + "'";
}

}  // namespace

void add_page_routes(router& routes) {
  const std::string_view page = dashboard_html;
  const std::string policy =
      "default-src 'none'; script-src " + hash_of(page, "script") +
      "; style-src " + hash_of(page, "style") +
      "; connect-src 'self'; img-src data:; base-uri 'none'; "
      "form-action 'none'; frame-ancestors 'none'";
  routes.add("GET", "/", [policy](http_request, exchange_ref answer) {
    answer->reply({.content_type = "text/html; charset=utf-8",
                   .body = dashboard_html,
                   .headers = {{"Content-Security-Policy", policy},
                               {"Cache-Control", "no-cache"},
                               {"Referrer-Policy", "no-referrer"},
                               {"X-Content-Type-Options", "nosniff"}}});
  });
}

}  // namespace t2
