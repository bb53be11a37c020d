#pragma once

#include <memory>
#include <string>
#include <utility>

#include "http/api_routes.hpp"
#include "http/json_forms.hpp"

namespace t2 {

/// Starts work that outlives its request and answers 202 with its job. `start`
/// gets the callbacks for progress and for the end, and returns the ticket.
template <class Progress, class Final, class Start>
void begin_job(client& actors, const job_board_ref& jobs,
               const std::string& kind, const std::string& subject,
               exchange& answer, Start start) {
  const auto id = jobs->open(kind, subject);
  if (!id) return answer.reply(error_reply(id.error()));
  const ticket t = start(
      [jobs, id = *id](Progress now) { jobs->progress(id, form_of(now)); },
      [jobs, id = *id](result<Final> done) {
        if (!done) return jobs->finish(id, done.error());
        jobs->finish(id, form_of(*done));
      });
  jobs->on_cancel(*id, [&actors, t] { actors.cancel(t); });
  const auto form = jobs->show(*id);
  if (!form) return answer.reply(error_reply(form.error()));
  reply_json(answer, *form, 202);
}

}  // namespace t2
