#include "http/outbox.hpp"

#include <utility>

#include "http/error_form.hpp"

namespace t2 {
namespace {

class outbox_handle : public exchange {
 public:
  explicit outbox_handle(std::shared_ptr<outbox> box) : box_(std::move(box)) {}
  ~outbox_handle() override {
    // Of no effect after an answer.
    box_->reply(error_reply({ec::internal, "the request got no answer"}));
    box_->end();
  }
  void reply(http_reply whole) override { box_->reply(std::move(whole)); }
  void event(std::string_view name, std::string_view data) override {
    box_->event(name, data);
  }
  void end() override { box_->end(); }
  void on_leave(std::function<void()> left) override {
    box_->on_leave(std::move(left));
  }

 private:
  std::shared_ptr<outbox> box_;
};

}  // namespace

outbox::outbox(std::function<void()> wake, std::size_t unsent_bytes)
    : wake_(std::move(wake)), unsent_bytes_(unsent_bytes) {}

void outbox::finish_locked() {
  ended_ = true;
  content_.ended = true;
  left_ = nullptr;
  wake_();
}

void outbox::reply(http_reply whole) {
  const std::lock_guard lock(mutex_);
  if (gone_ || ended_ || started_) return;
  started_ = true;
  content_.whole = std::move(whole);
  finish_locked();
}

void outbox::event(std::string_view name, std::string_view data) {
  std::function<void()> left;
  {
    const std::lock_guard lock(mutex_);
    if (gone_ || ended_) return;
    started_ = true;
    content_.events += print_event(name, data);
    if (content_.events.size() > unsent_bytes_) {
      // Nothing more is made or kept for a reader that does not read.
      content_.events = {};
      content_.overflow = true;
      ended_ = true;
      left = std::exchange(left_, nullptr);
    }
    wake_();
  }
  if (left) left();
}

void outbox::end() {
  const std::lock_guard lock(mutex_);
  if (gone_ || ended_) return;
  finish_locked();
}

void outbox::on_leave(std::function<void()> left) {
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    if (!gone_) {
      left_ = std::move(left);
      return;
    }
  }
  left();
}

outbox::content outbox::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(content_, {});
}

void outbox::leave() {
  std::function<void()> left;
  {
    const std::lock_guard lock(mutex_);
    gone_ = true;
    wake_ = nullptr;
    left = std::exchange(left_, nullptr);
  }
  if (left) left();
}

std::shared_ptr<exchange> outbox::handle(std::shared_ptr<outbox> box) {
  return std::make_shared<outbox_handle>(std::move(box));
}

std::string print_event(std::string_view name, std::string_view data) {
  std::string text;
  if (!name.empty()) text.append("event: ").append(name).append("\n");
  return text.append("data: ").append(data).append("\n\n");
}

}  // namespace t2
