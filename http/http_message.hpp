#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "http/caller.hpp"

namespace t2 {

/// A request as handlers see it: decoded, without a socket.
struct http_request {
  std::string method;                               // upper case
  std::string path;                                 // decoded
  std::map<std::string, std::string> query = {};    // decoded
  std::map<std::string, std::string> capture = {};  // of the route's pattern
  std::string content_type = {};                    // lower case, no parameters
  std::string body = {};
  http_caller caller = {};
  /// Names in lower case; without the one that holds the key.
  std::map<std::string, std::string> headers = {};
};

/// A whole answer.
struct http_reply {
  int status = 200;
  std::string content_type = "application/json";
  std::string body = {};
  std::vector<std::pair<std::string, std::string>> headers = {};
};

}  // namespace t2
