#include <atomic>
#include <cstdio>
#include <mutex>
#include <random>
#include <string>

#include "http/api_routes.hpp"
#include "http/completion_form.hpp"
#include "http/discretion.hpp"

namespace t2 {
namespace {

std::uint64_t drawn_number() {
  std::random_device random;
  return (std::uint64_t{random()} << 32) ^ random();
}

/// Ids that two answers share only by an accident of 64 bits.
std::string fresh_id(completion_kind kind) {
  static std::atomic<std::uint64_t> count = drawn_number();
  // An odd factor: a bijection, so ids of one process never repeat.
  const auto number =
      static_cast<unsigned long long>(count.fetch_add(1) * 0x9e3779b97f4a7c15u);
  std::string text(24, '\0');
  std::snprintf(text.data(), text.size(), "%016llx", number);
  return (kind == completion_kind::chat ? "chatcmpl-" : "cmpl-") +
         text.substr(0, 16);
}

/// The answers of one request on their way: gathered into a whole, or passed on
/// in chunks. The first that fails ends them all.
class completion_in_progress {
 public:
  completion_in_progress(client& actors, exchange_ref answer,
                         completion_head head,
                         const completion_request& request,
                         http_caller caller, const api_options& options)
      : actors_(actors),
        answer_(std::move(answer)),
        head_(std::move(head)),
        caller_(std::move(caller)),
        stream_(request.stream),
        choices_per_prompt_(request.choices_per_prompt),
        choices_(request.questions.size(),
                 choice{.whole = {}, .clock = completion_clock(options.metrics)}),
        missing_(choices_.size()) {
    for (std::size_t i = 0; i < choices_.size(); ++i)
      choices_[i].whole.report_tokens = request.questions[i].report_tokens;
  }

  /// A query that was asked for; at once cancelled where another has failed.
  void asked(ticket t) {
    const std::lock_guard lock(mutex_);
    if (over_) return actors_.cancel(t);
    tickets_.push_back(t);
  }

  void cancel() {
    const std::lock_guard lock(mutex_);
    end_locked();
  }

  void add(std::size_t index, const answer_part& part) {
    const std::lock_guard lock(mutex_);
    if (!over_) add_locked(index, part);
  }

  void finish(std::size_t index, const result<answer_part>& done) {
    const std::lock_guard lock(mutex_);
    if (over_) return;
    if (!done) return fail_locked(done.error());
    choice& one = choices_[index];
    if (!one.reason_is_out) {
      // No part has told the reason.
      answer_part last = *done;
      last.text.clear();
      if (one.begun) last.route.reset();
      add_locked(index, last);
    }
    one.whole.last = *done;
    if (--missing_ > 0) return;
    if (!stream_) {
      std::vector<completion_choice> all;
      for (choice& each : choices_) all.push_back(std::move(each.whole));
      return reply_json(*answer_, form_of_completion(head_, all, usage(all)));
    }
    if (head_.include_usage) {
      std::vector<completion_choice> all;
      double sum = 0;
      for (choice& each : choices_) {
        all.push_back(std::move(each.whole));
        sum += all.back().last.log_probability;
      }
      answer_->event("",
                     dump_json(form_of_usage_chunk(head_, usage(all), sum)));
    }
    answer_->event("", "[DONE]");
    answer_->end();
  }

 private:
  struct choice {
    completion_choice whole;
    completion_clock clock;
    bool begun = false;
    bool reason_is_out = false;
  };

  void add_locked(std::size_t index, const answer_part& part) {
    choice& one = choices_[index];
    one.clock.saw(part.answer_tokens);
    if (!part.fingerprint.empty()) head_.fingerprint = part.fingerprint;
    if (part.route) one.whole.route = *part.route;
    one.reason_is_out = one.reason_is_out || part.finish_reason.has_value();
    if (stream_) {
      answer_->event("", dump_json(form_of_chunk(head_, index, part, !one.begun,
                                                 one.whole.report_tokens)));
      chunks_are_out_ = true;
    } else {
      one.whole.text += part.text;
      one.whole.tokens.insert(one.whole.tokens.end(), part.tokens.begin(),
                              part.tokens.end());
    }
    one.begun = true;
  }

  void fail_locked(const error& failure) {
    end_locked();
    // Only what `model` names can be missing.
    if (failure.code == ec::not_found) return fail_with(model_error(failure));
    fail_with(error_reply(failure));
  }

  void fail_with(http_reply whole) {
    if (!chunks_are_out_) return answer_->reply(std::move(whole));
    answer_->event("", told_to(caller_, std::move(whole)).body);
    answer_->event("", "[DONE]");
    answer_->end();
  }

  void end_locked() {
    over_ = true;
    for (const ticket t : tickets_) actors_.cancel(t);
    tickets_.clear();
  }

  /// Every prompt is counted once, whatever number of choices it has.
  completion_usage usage(const std::vector<completion_choice>& all) const {
    completion_usage sum;
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (i % choices_per_prompt_ == 0)
        sum.prompt_tokens += all[i].last.prompt_tokens;
      sum.answer_tokens += all[i].last.answer_tokens;
    }
    return sum;
  }

  client& actors_;
  std::mutex mutex_;  // parts and ends come from several threads
  exchange_ref answer_;
  completion_head head_;
  http_caller caller_;
  bool stream_;
  std::size_t choices_per_prompt_;
  std::vector<choice> choices_;
  std::size_t missing_;  // choices without an end
  std::vector<ticket> tickets_;
  bool chunks_are_out_ = false;
  bool over_ = false;  // failed, or nobody listens any more
};

void complete(client& actors, const api_options& options, completion_kind kind,
              const http_request& request, exchange_ref answer) {
  auto parsed = parse_completion(request.body, kind);
  if (!parsed) return answer->reply(error_reply(parsed.error()));
  if (!parsed->seeded) {
    const std::uint64_t seed = drawn_number();
    for (query& question : parsed->questions) question.sampling.seed = seed;
  }
  for (query& question : parsed->questions)
    question.caller = request.caller.name;
  const auto running = std::make_shared<completion_in_progress>(
      actors, answer,
      completion_head{.kind = kind,
                      .id = fresh_id(kind),
                      .created = options.now(),
                      .model = parsed->model,
                      .include_usage = parsed->include_usage},
      *parsed, request.caller, options);
  for (std::size_t i = 0; i < parsed->questions.size(); ++i) {
    running->asked(actors.ask(
        std::move(parsed->questions[i]),
        [running, i](answer_part part) { running->add(i, part); },
        [running, i](result<answer_part> done) { running->finish(i, done); }));
  }
  answer->on_leave([weak = std::weak_ptr(running)] {
    if (const auto here = weak.lock()) here->cancel();
  });
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
