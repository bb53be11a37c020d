#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "config/result.hpp"

namespace t2 {

/// Reads an HTTP answer that arrives in pieces; its body is handed on as it
/// comes, whatever the transfer encoding.
class response_parser {
 public:
  explicit response_parser(std::function<void(std::string_view)> on_body);
  ~response_parser();

  /// The next bytes. ec::io when they are not HTTP.
  result<void> feed(std::string_view bytes);
  /// The peer has closed. ec::unavailable when the answer is not complete.
  result<void> finish();

  bool done() const;
  int status() const;                       // 0 until the header is read
  const std::string& content_type() const;  // lower case, no parameters

 private:
  class parser;
  std::unique_ptr<parser> parser_;
  std::string rest_;  // bytes that the parser has not taken yet
};

}  // namespace t2
