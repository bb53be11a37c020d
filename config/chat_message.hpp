#pragma once

#include <string>

namespace t2 {

/// One turn of a conversation.
struct chat_message {
  std::string role;  // system, user, assistant or tool
  std::string content;

  bool operator==(const chat_message&) const = default;
};

}  // namespace t2
