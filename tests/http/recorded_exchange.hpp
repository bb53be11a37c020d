#pragma once

#include <future>
#include <memory>
#include <optional>
#include <string>

#include "http/exchange.hpp"
#include "http/outbox.hpp"

namespace t2::test {

/// Keeps what a handler answers.
class recorded_exchange : public exchange {
 public:
  void reply(http_reply whole) override { whole_ = std::move(whole); }
  void event(std::string_view name, std::string_view data) override {
    events_ += print_event(name, data);
  }
  void end() override { ended_ = true; }
  void on_leave(std::function<void()>) override {}

  std::optional<http_reply> whole_;
  std::string events_;
  bool ended_ = false;
};

}  // namespace t2::test
