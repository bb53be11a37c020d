#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "http/api.hpp"
#include "http/error_form.hpp"
#include "http/exchange.hpp"
#include "http/job_board.hpp"
#include "http/json.hpp"

namespace t2 {

// The groups of paths that make_api puts together, and what they share.

using job_board_ref = std::shared_ptr<job_board>;

void add_completion_routes(router& routes, client& actors,
                           const api_options& options);
void add_model_routes(router& routes, client& actors,
                      const api_options& options);
void add_task_routes(router& routes, client& actors,
                     const api_options& options, const job_board_ref& jobs);
void add_expert_routes(router& routes, client& actors,
                       const job_board_ref& jobs);
void add_job_routes(router& routes, const job_board_ref& jobs);
void add_evaluation_routes(router& routes, client& actors);
void add_store_routes(router& routes, client& actors);
void add_state_routes(router& routes, client& actors);
void add_metrics_routes(router& routes, client& actors,
                        const api_options& options);
void add_document_routes(router& routes);
/// Says who may call which of the routes that were added.
void grant_access(router& routes);
/// The dashboard.
void add_page_routes(router& routes);

using exchange_ref = std::shared_ptr<exchange>;

inline void reply_json(exchange& answer, const ordered_json& form,
                       int status = 200) {
  answer.reply({.status = status, .body = dump_json(form)});
}

/// A callback that answers with `form(value)`, or with the error.
template <class T, class Form>
reply<T> reply_with(exchange_ref answer, Form form, int status = 200) {
  return [answer = std::move(answer), form = std::move(form),
          status](result<T> value) {
    if (!value) return answer->reply(error_reply(value.error()));
    reply_json(*answer, form(*value), status);
  };
}

inline ordered_json deleted_form(const std::string& name) {
  return {{"deleted", true}, {"name", name}};
}

/// The stream of something that takes long: `progress` events and then one
/// `result` or `error`. An error before any progress is a plain reply.
class progress_stream {
 public:
  explicit progress_stream(exchange_ref answer) : answer_(std::move(answer)) {}

  void progress(const ordered_json& form) {
    begun_ = true;
    answer_->event("progress", dump_json(form));
  }
  void finish(const ordered_json& form) {
    answer_->event("result", dump_json(form));
    answer_->end();
  }
  void fail(const error& failure) {
    if (!begun_) return answer_->reply(error_reply(failure));
    answer_->event("error", dump_json(error_form(failure)));
    answer_->end();
  }

 private:
  exchange_ref answer_;
  std::atomic<bool> begun_ = false;
};

/// Ends `request` when the one who asked has left.
inline void cancel_on_leave(exchange& answer, client& actors, ticket request) {
  answer.on_leave([&actors, request] { actors.cancel(request); });
}

}  // namespace t2
