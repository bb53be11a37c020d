#include "http/response_text.hpp"

#include <array>
#include <boost/beast/http/status.hpp>
#include <cstdio>
#include <ostream>  // Boost leaves it out

namespace t2 {

namespace http = boost::beast::http;

std::string print_head(int status, const std::string& content_type,
                       bool keep_alive) {
  const auto reason =
      status == 499 ? boost::beast::string_view("Client Closed Request")
                    : http::obsolete_reason(
                          http::int_to_status(static_cast<unsigned>(status)));
  return "HTTP/1.1 " + std::to_string(status) + " " + std::string(reason) +
         "\r\nContent-Type: " + content_type +
         "\r\nConnection: " + (keep_alive ? "keep-alive" : "close") + "\r\n";
}

std::string print_reply(const http_reply& whole, bool keep_alive) {
  std::string text = print_head(whole.status, whole.content_type, keep_alive);
  for (const auto& [name, value] : whole.headers) {
    text += name + ": " + value + "\r\n";
  }
  text += "Content-Length: " + std::to_string(whole.body.size()) + "\r\n\r\n";
  return text + whole.body;
}

std::string print_chunk(const std::string& data) {
  std::array<char, 20> size;
  std::snprintf(size.data(), size.size(), "%zx\r\n", data.size());
  return size.data() + data + "\r\n";
}

}  // namespace t2
