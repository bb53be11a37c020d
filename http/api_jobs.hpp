#pragma once

#include <memory>
#include <string>
#include <utility>

#include "http/api_routes.hpp"
#include "http/json_forms.hpp"

namespace t2 {

/// Starts work that the board shows. In the background it outlives its request,
/// which is answered at once, 202 with the job; else its progress and its end
/// are the answer's stream, and who leaves ends it. `start` gets the callbacks
/// for progress and for the end, and returns the ticket.
template <class Progress, class Final, class Start>
void run_job(client& actors, const job_board_ref& jobs, const std::string& kind,
             const std::string& subject, exchange_ref answer, bool background,
             Start start) {
  const auto id = jobs->open(kind, subject, background);
  if (!id) return answer->reply(error_reply(id.error()));
  std::shared_ptr<progress_stream> stream;
  if (!background) stream = std::make_shared<progress_stream>(answer);
  const ticket t = start(
      [jobs, stream, id = *id](Progress now) {
        ordered_json form = form_of(now);
        jobs->progress(id, form);
        if (!stream) return;
        form["job"] = id;
        stream->progress(form);
      },
      [jobs, stream, id = *id](result<Final> done) {
        if (!done) {
          jobs->finish(id, done.error());
          if (stream) stream->fail(done.error());
          return;
        }
        const ordered_json form = form_of(*done);
        jobs->finish(id, form);
        if (stream) stream->finish(form);
      });
  jobs->on_cancel(
      *id, [&actors, t] { actors.cancel(t); },
      [&actors, t] { actors.conclude(t); });
  if (!background) return cancel_on_leave(*answer, actors, t);
  const auto form = jobs->show(*id);
  if (!form) return answer->reply(error_reply(form.error()));
  reply_json(*answer, *form, 202);
}

}  // namespace t2
