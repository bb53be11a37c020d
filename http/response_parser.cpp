#include "http/response_parser.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <utility>

namespace t2 {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using beast::error_code;
using beast::string_view;

}  // namespace

class response_parser::parser : public http::basic_parser<false> {
 public:
  explicit parser(std::function<void(std::string_view)> on_body)
      : on_body_(std::move(on_body)) {
    eager(true);
    body_limit(boost::none);  // http_client counts
  }

  int status = 0;
  std::string content_type;

 private:
  void on_request_impl(http::verb, string_view, string_view, int,
                       error_code&) override {}
  void on_response_impl(int code, string_view, int, error_code&) override {
    status = code;
  }
  void on_field_impl(http::field name, string_view, string_view value,
                     error_code&) override {
    if (name != http::field::content_type) return;
    value = value.substr(0, value.find(';'));
    content_type.assign(value.data(), value.size());
    for (char& c : content_type) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
  }
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&,
                         error_code&) override {}
  std::size_t on_body_impl(string_view body, error_code&) override {
    on_body_({body.data(), body.size()});
    return body.size();
  }
  void on_chunk_header_impl(std::uint64_t, string_view, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, string_view body,
                                 error_code&) override {
    on_body_({body.data(), body.size()});
    return body.size();
  }
  void on_finish_impl(error_code&) override {}

  std::function<void(std::string_view)> on_body_;
};

response_parser::response_parser(std::function<void(std::string_view)> on_body)
    : parser_(std::make_unique<parser>(std::move(on_body))) {}

response_parser::~response_parser() = default;

result<void> response_parser::feed(std::string_view bytes) {
  rest_ += bytes;
  while (!rest_.empty() && !parser_->is_done()) {
    error_code failed;
    const std::size_t used = parser_->put(boost::asio::buffer(rest_), failed);
    rest_.erase(0, used);
    if (failed == http::error::need_more) break;
    if (failed) {
      return error{ec::io,
                   "expected HTTP/1.1 from the server: " + failed.message()};
    }
    if (used == 0) break;
  }
  return {};
}

result<void> response_parser::finish() {
  error_code failed;
  if (parser_->got_some()) parser_->put_eof(failed);
  if (failed || !parser_->is_done()) {
    return error{ec::unavailable,
                 "the server closed in the middle of its "
                 "answer"};
  }
  return {};
}

bool response_parser::done() const {
  return parser_->is_done();
}
int response_parser::status() const {
  return parser_->status;
}
const std::string& response_parser::content_type() const {
  return parser_->content_type;
}

}  // namespace t2
