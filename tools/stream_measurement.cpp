#include "tools/stream_measurement.hpp"

#include "http/error_form.hpp"
#include "http/json.hpp"

namespace t2 {
namespace {

double seconds(std::chrono::steady_clock::duration time) {
  return std::chrono::duration<double>(time).count();
}

std::string text_of(const ordered_json& choice) {
  const auto delta = choice.find("delta");
  const ordered_json& holder = delta == choice.end() ? choice : *delta;
  const auto text = holder.find(delta == choice.end() ? "text" : "content");
  return text != holder.end() && text->is_string() ? text->get<std::string>()
                                                   : std::string();
}

}  // namespace

void stream_measurement::take(const server_event& event, time_point now) {
  if (ends_ > 0 && !oddity_) oddity_ = "an event after [DONE]";
  if (event.data == "[DONE]") {
    ++ends_;
    return;
  }
  const auto form = ordered_json::parse(event.data, nullptr, false);
  if (!form.is_object()) {
    if (!oddity_) oddity_ = "an event that is no JSON object";
    return;
  }
  if (form.contains("error")) {
    failure_ = error_from_form(500, event.data);
    return;
  }
  if (const auto usage = form.find("usage");
      usage != form.end() && usage->is_object()) {
    ++usages_;
    prompt_tokens_ = usage->value("prompt_tokens", std::int64_t{0});
    answer_tokens_ = usage->value("completion_tokens", std::int64_t{0});
  }
  const auto choices = form.find("choices");
  if (choices == form.end() || !choices->is_array() || choices->empty()) return;
  const auto& choice = choices->front();
  if (!choice.is_object()) return;
  if (reasons_ > 0 && !oddity_) oddity_ = "a choice after the finish_reason";
  take_choice(text_of(choice), now);
  const auto reason = choice.find("finish_reason");
  if (reason != choice.end() && reason->is_string()) ++reasons_;
}

void stream_measurement::take_choice(const std::string& piece,
                                     time_point now) {
  if (piece.empty()) return;
  text_ += piece;
  if (!first_) first_ = now;
  if (last_) gaps_.push_back(seconds(now - *last_));
  last_ = now;
}

std::optional<std::string> stream_measurement::problem() const {
  const auto expected_one = [](int found, const char* what) {
    return "expected one " + std::string(what) + ", found " +
           std::to_string(found);
  };
  if (oddity_) return oddity_;
  if (reasons_ != 1) return expected_one(reasons_, "finish_reason");
  if (usages_ != 1) return expected_one(usages_, "usage");
  if (ends_ != 1) return expected_one(ends_, "[DONE]");
  return std::nullopt;
}

std::optional<double> stream_measurement::first_token_seconds() const {
  if (!first_) return std::nullopt;
  return seconds(*first_ - begin_);
}

}  // namespace t2
