#include <atomic>
#include <cstdio>
#include <mutex>
#include <random>
#include <string>

#include "http/api_routes.hpp"
#include "http/json_forms.hpp"

namespace t2 {
namespace {

/// Ids that two answers share only by an accident of 64 bits.
std::string fresh_id(completion_kind kind) {
  static std::atomic<std::uint64_t> count = [] {
    std::random_device random;
    return (std::uint64_t{random()} << 32) ^ random();
  }();
  // An odd factor: a bijection, so ids of one process never repeat.
  const auto number =
      static_cast<unsigned long long>(count.fetch_add(1) * 0x9e3779b97f4a7c15u);
  std::string text(24, '\0');
  std::snprintf(text.data(), text.size(), "%016llx", number);
  return (kind == completion_kind::chat ? "chatcmpl-" : "cmpl-") +
         text.substr(0, 16);
}

/// One answer on its way: gathered into a whole, or passed on in chunks.
class answer_in_progress {
 public:
  answer_in_progress(exchange_ref answer, completion_head head,
                     const completion_request& request,
                     const api_options& options)
      : clock_(options.metrics),
        answer_(std::move(answer)),
        head_(std::move(head)),
        stream_(request.stream),
        include_usage_(request.include_usage) {}

  void add(const answer_part& part) {
    const std::lock_guard lock(mutex_);
    clock_.saw(part.answer_tokens);
    add_locked(part);
  }

  void finish(const result<answer_part>& done) {
    const std::lock_guard lock(mutex_);
    if (!done) return fail_locked(done.error());
    if (done->route && !route_) route_ = done->route;
    if (!stream_) {
      return reply_json(
          *answer_,
          form_of_completion(head_, text_, *done, route_.value_or(routing())));
    }
    if (!finished_) {
      // No part has told the reason.
      answer_part last = *done;
      last.text.clear();
      last.route = begun_ ? std::nullopt : route_;
      add_locked(last);
    }
    if (include_usage_) {
      answer_->event("", dump_json(form_of_usage_chunk(head_, *done)));
    }
    answer_->event("", "[DONE]");
    answer_->end();
  }

 private:
  void add_locked(const answer_part& part) {
    if (part.route) route_ = part.route;
    if (!stream_) {
      text_ += part.text;
      return;
    }
    finished_ = finished_ || part.finish_reason.has_value();
    answer_->event("", dump_json(form_of_chunk(head_, part, !begun_)));
    begun_ = true;
  }

  void fail_locked(const error& failure) {
    if (!begun_) return answer_->reply(error_reply(failure));
    answer_->event("", dump_json(error_form(failure)));
    answer_->event("", "[DONE]");
    answer_->end();
  }

  std::mutex mutex_;  // parts and the end may come from two threads
  completion_clock clock_;
  exchange_ref answer_;
  completion_head head_;
  bool stream_;
  bool include_usage_;
  std::string text_;
  std::optional<routing> route_;
  bool begun_ = false;     // the first chunk is out
  bool finished_ = false;  // the chunk with the reason is out
};

void complete(client& actors, const api_options& options, completion_kind kind,
              const http_request& request, exchange_ref answer) {
  auto parsed = parse_completion(request.body, kind);
  if (!parsed) return answer->reply(error_reply(parsed.error()));
  const auto running = std::make_shared<answer_in_progress>(
      answer,
      completion_head{.kind = kind,
                      .id = fresh_id(kind),
                      .created = options.now(),
                      .model = parsed->model},
      *parsed, options);
  const ticket asked = actors.ask(
      std::move(parsed->question),
      [running](answer_part part) { running->add(part); },
      [running](result<answer_part> done) { running->finish(done); });
  cancel_on_leave(*answer, actors, asked);
}

}  // namespace

void add_completion_routes(router& routes, client& actors,
                           const api_options& options) {
  const auto add = [&](std::string_view path, completion_kind kind) {
    routes.add(
        "POST", path,
        [&actors, options, kind](http_request request, exchange_ref answer) {
          complete(actors, options, kind, request, std::move(answer));
        });
  };
  add("/v1/chat/completions", completion_kind::chat);
  add("/v1/completions", completion_kind::text);
  routes.add("POST", "/v1/embeddings", [](http_request, exchange_ref answer) {
    answer->reply(error_reply(
        {ec::invalid_argument,
         "/v1/embeddings: t2 serves generation models only, none embeds"}));
  });
}

}  // namespace t2
