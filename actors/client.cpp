#include "actors/client.hpp"

#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

#include <atomic>
#include <optional>
#include <shared_mutex>
#include <utility>

#include "actors/client_state.hpp"
#include "actors/decomposition.hpp"
#include "actors/expert_import.hpp"
#include "actors/front_desk.hpp"
#include "actors/function_job.hpp"
#include "actors/heatmap_job.hpp"
#include "adaptation/prompt_form.hpp"
#include "model/linear_plan.hpp"

namespace t2 {
namespace {

template <class T>
pending_reply_ref<T> pending(reply<T> done) {
  return std::make_shared<pending_reply<T>>(std::move(done));
}

/// A reply that first has the dispatcher look its routes up again.
template <class T>
pending_reply_ref<T> after_change(front_desk_state& desk,
                                  pending_reply_ref<T> reply) {
  return pending<T>([&desk, reply](result<T> outcome) {
    if (outcome) desk.tell(&peers::dispatcher, forget_atom_v);
    (*reply)(std::move(outcome));
  });
}

/// Hands a version on as a value.
pending_reply_ref<expert_version_ref> unshared(
    pending_reply_ref<store_expert_version> reply) {
  return pending<expert_version_ref>([reply](result<expert_version_ref> v) {
    if (!v) return (*reply)(v.error());
    (*reply)(**v);
  });
}

/// Calls the first with a value and passes an error on to the second.
template <class T, class U, class F>
pending_reply_ref<T> then(pending_reply_ref<U> otherwise, F go_on) {
  return pending<T>([otherwise, go_on](result<T> outcome) {
    if (!outcome) return (*otherwise)(outcome.error());
    go_on(*outcome);
  });
}

engine_report report_of(const engine_statistics& counts) {
  engine_report report{.steps = counts.steps,
                       .prefill_tokens = counts.prefill_tokens,
                       .decode_tokens = counts.decode_tokens,
                       .scored_tokens = counts.scored_tokens,
                       .prompt_tokens = counts.prompt_tokens,
                       .prompt_tokens_cached = counts.prompt_tokens_cached,
                       .preemptions = counts.preemptions,
                       .dense_builds = counts.dense_builds,
                       .running = counts.running,
                       .waiting = counts.waiting,
                       .kv_bytes_used = counts.kv_bytes_used,
                       .kv_bytes_cached = counts.kv_bytes_cached,
                       .kv_bytes_budget = counts.kv_bytes_budget,
                       .dense_bytes_used = counts.dense_bytes_used,
                       .plan_steps = {},
                       .step_bounds = {counts.row_bounds.begin(),
                                       counts.row_bounds.end()},
                       .step_sequences = {counts.step_rows.begin(),
                                          counts.step_rows.end()},
                       .sequences = counts.rows};
  for (std::size_t i = 0; i < counts.plan_steps.size(); ++i) {
    const auto plan = to_string(static_cast<linear_plan>(i));
    if (plan != "unknown") {
      report.plan_steps.emplace_back(plan, counts.plan_steps[i]);
    }
  }
  return report;
}

}  // namespace

// --- life ------------------------------------------------------------------

result<std::unique_ptr<client>> client::start(const runtime_options& options,
                                              std::string socket_path) {
  const std::filesystem::path path = options.store.path;
  const store_options how{.socket_path = std::move(socket_path)};
  auto opened = expert_store::open(path, how);
  if (!opened) return opened.error();
  const auto first =
      std::make_shared<std::optional<expert_store>>(std::move(*opened));
  const auto open = [first, path, how]() -> result<expert_store> {
    if (auto now = std::exchange(*first, std::nullopt)) return std::move(*now);
    return expert_store::open(path, how);
  };
  return std::unique_ptr<client>(new client(std::make_unique<state>(make_tree(
      options, open, make_engine_loader(options.model, options.engine)))));
}

client::client(std::unique_ptr<state> s) : state_(std::move(s)) {}

client::~client() { stop(std::chrono::seconds(0)); }

void client::state::call(std::function<void(front_desk_state&)> work) {
  const std::shared_lock lock(running);
  if (!actors) return;  // the callbacks in `work` hear that t2 has stopped
  caf::anon_send(actors->front, call_atom_v,
                 front_call_ref(std::make_shared<front_call>(std::move(work))));
}

void client::stop(std::chrono::milliseconds grace) {
  const std::lock_guard one_at_a_time(state_->stopping);
  if (!state_->actors) return;
  {
    // Not through the front desk, which may be busy.
    caf::scoped_actor self(state_->actors->system);
    self->request(state_->actors->root, caf::infinite, stop_atom_v,
                  static_cast<std::int64_t>(grace.count()))
        .receive([](bool) {}, [](const caf::error&) {});
  }
  std::unique_ptr<runtime> last;
  {
    const std::unique_lock lock(state_->running);
    last = std::move(state_->actors);
  }
  last.reset();  // waits for the last actor's end
}

void client::health(reply<health_report> done) {
  state_->call([reply = pending(std::move(done))](front_desk_state& desk) {
    desk.ask(&peers::supervisor, reply, health_atom_v);
  });
}

void client::statistics(reply<engine_report> done) {
  state_->call([reply = pending(std::move(done))](front_desk_state& desk) {
    desk.ask(&peers::engine,
             then<engine_statistics>(
                 reply,
                 [reply](const engine_statistics& counts) {
                   (*reply)(report_of(counts));
                 }),
             statistics_atom_v);
  });
}

void client::cancel(ticket t) {
  state_->call([t](front_desk_state& desk) {
    desk.tell(&peers::dispatcher, cancel_atom_v, t);
    desk.tell(&peers::supervisor, cancel_atom_v, t);
    desk.tell(&peers::engine, cancel_atom_v, t);
  });
}

void client::conclude(ticket t) {
  state_->call([t](front_desk_state& desk) {
    desk.tell(&peers::dispatcher, conclude_atom_v, t);
    desk.tell(&peers::supervisor, cancel_atom_v, t);
  });
}

// --- queries ---------------------------------------------------------------

ticket client::ask(query question, std::function<void(answer_part)> on_part,
                   reply<answer_part> done) {
  const ticket t = state_->next_ticket();
  const answer_sink_ref sink = std::make_shared<answer_sink>(
      std::move(on_part), std::move(done), "the query");
  state_->call([t, sink, q = query_ref(std::make_shared<query>(
                             std::move(question)))](front_desk_state& desk) {
    if (!desk.tell(&peers::dispatcher, ask_atom_v, t, q, sink)) {
      sink->finish(desk.absent());
    }
  });
  return t;
}

// --- tasks -----------------------------------------------------------------

void client::add_task_for(std::string caller, store_task task,
                          reply<store_task> done) {
  state_->call([reply = pending(std::move(done)), caller,
                record = store_task_ref(std::make_shared<store_task>(
                    std::move(task)))](front_desk_state& desk) {
    desk.ask(&peers::engine,
             then<model_card_ref>(reply,
                                  [&desk, reply, record, caller](
                                      const model_card_ref& card) {
                                    store_task settled = *record;
                                    if (auto formed = settle_form(
                                            settled, card->chat_template);
                                        !formed)
                                      return (*reply)(formed.error());
                                    desk.ask(&peers::store,
                                             after_change(desk, reply),
                                             add_task_atom_v, card->base,
                                             store_task_ref(
                                                 std::make_shared<store_task>(
                                                     std::move(settled))),
                                             caller);
                                  }),
             card_atom_v);
  });
}

void client::list_tasks(reply<std::vector<store_task>> done) {
  state_->call([reply = pending(std::move(done))](front_desk_state& desk) {
    desk.ask(&peers::store, reply, tasks_atom_v);
  });
}

void client::get_task(std::string name, reply<store_task> done) {
  state_->call([reply = pending(std::move(done)),
                name](front_desk_state& desk) {
    desk.ask(&peers::store, reply, get_task_atom_v, name);
  });
}

void client::remove_task_for(std::string caller, std::string name,
                             reply<bool> done) {
  state_->call([reply = pending(std::move(done)), name,
                caller](front_desk_state& desk) {
    desk.ask(&peers::store, after_change(desk, reply), remove_task_atom_v,
             name, caller);
  });
}

void client::task_adaptations(std::string task,
                              reply<std::vector<store_adaptation>> done) {
  state_->call([reply = pending(std::move(done)),
                task](front_desk_state& desk) {
    desk.ask(&peers::store, reply, adaptations_atom_v, task);
  });
}

ticket client::adapt(adapt_request request,
                     std::function<void(adapt_progress)> on_progress,
                     reply<adapt_report> done) {
  const ticket t = state_->next_ticket();
  const adapt_sink_ref sink = std::make_shared<adapt_sink>(
      std::move(on_progress), std::move(done), "the adaptation");
  state_->call([t, sink, r = adapt_request_ref(std::make_shared<adapt_request>(
                             std::move(request)))](front_desk_state& desk) {
    if (!desk.tell(&peers::dispatcher, adapt_atom_v, t, r, sink)) {
      sink->finish(desk.absent());
    }
  });
  return t;
}

// --- experts ---------------------------------------------------------------

void client::list_experts(reply<std::vector<store_expert>> done) {
  state_->call([reply = pending(std::move(done))](front_desk_state& desk) {
    desk.ask(&peers::store, reply, experts_atom_v);
  });
}

void client::expert_history(std::string name,
                            reply<std::vector<store_expert_version>> done) {
  state_->call([reply = pending(std::move(done)),
                name](front_desk_state& desk) {
    desk.ask(&peers::store, reply, history_atom_v, name);
  });
}

void client::get_expert(std::string name, reply<store_expert_version> done) {
  state_->call([reply = unshared(pending(std::move(done))),
                name](front_desk_state& desk) {
    desk.ask(&peers::store, reply, get_expert_atom_v, name);
  });
}

void client::heatmap_of(std::string name, reply<expert_heatmap> done) {
  state_->call([reply = pending(std::move(done)), name,
                t = state_->next_ticket()](front_desk_state& desk) {
    const auto summarise = [&desk, reply, t](const expert_version_ref& found) {
      const auto job = std::make_shared<heatmap_job>(*found);
      const auto report = [reply, job](bool) { (*reply)(job->outcome()); };
      desk.ask(&peers::engine, then<bool>(reply, report), run_atom_v, t,
               engine_job_ref(job));
    };
    desk.ask(&peers::store, then<expert_version_ref>(reply, summarise),
             get_expert_atom_v, name);
  });
}

void client::import_expert_for(std::string caller, std::string name,
                               std::string file,
                               reply<store_expert_version> done) {
  const auto job = std::make_shared<expert_import>(
      std::move(name), std::move(file), std::move(caller));
  state_->call([reply = unshared(pending(std::move(done))), job,
                t = state_->next_ticket()](front_desk_state& desk) {
    const auto publish = [&desk, reply, job](bool) {
      if (!job->outcome()) return (*reply)(job->outcome().error());
      desk.ask(&peers::store, after_change(desk, reply), publish_atom_v,
               *job->outcome());
    };
    desk.ask(&peers::engine, then<bool>(reply, publish), run_atom_v, t,
             engine_job_ref(job));
  });
}

void client::rollback_expert_for(std::string caller, std::string name,
                                 std::int64_t version,
                                 reply<store_expert> done) {
  state_->call([reply = pending(std::move(done)), name, version,
                caller](front_desk_state& desk) {
    desk.ask(&peers::store, after_change(desk, reply), rollback_atom_v, name,
             version, caller);
  });
}

void client::remove_expert_for(std::string caller, std::string name,
                               reply<bool> done) {
  state_->call([reply = pending(std::move(done)), name,
                caller](front_desk_state& desk) {
    desk.ask(&peers::store, after_change(desk, reply), remove_expert_atom_v,
             name, caller);
  });
}

ticket client::train_expert(training_spec spec,
                            std::function<void(train_progress)> on_progress,
                            reply<store_expert_version> done) {
  const ticket t = state_->next_ticket();
  // The new version reaches the front desk before the caller hears of it.
  const auto forget = [front = state_->front(), done = std::move(done)](
                          result<store_expert_version> outcome) {
    if (outcome && front) {
      caf::anon_send(front, call_atom_v,
                     front_call_ref(std::make_shared<front_call>(
                         [](front_desk_state& desk) {
                           desk.tell(&peers::dispatcher, forget_atom_v);
                         })));
    }
    done(std::move(outcome));
  };
  const train_sink_ref sink = std::make_shared<train_sink>(
      std::move(on_progress), forget, "the training");
  state_->call([t, sink, s = training_spec_ref(std::make_shared<training_spec>(
                             std::move(spec)))](front_desk_state& desk) {
    if (!desk.tell(&peers::supervisor, train_atom_v, t, s, sink)) {
      sink->finish(desk.absent());
    }
  });
  return t;
}

ticket client::decompose(
    std::string targets,
    std::function<void(std::int64_t, std::int64_t)> on_progress,
    reply<std::int64_t> done) {
  const ticket t = state_->next_ticket();
  const auto job = std::make_shared<decomposition_job>(
      std::move(targets), std::move(on_progress));
  state_->call([t, job,
                reply = pending(std::move(done))](front_desk_state& desk) {
    const auto report = [reply, job](bool) { (*reply)(job->outcome()); };
    desk.ask(&peers::engine, then<bool>(reply, report), run_atom_v, t,
             engine_job_ref(job));
  });
  return t;
}

// --- evaluations -----------------------------------------------------------

void client::seen(std::string target, reply<std::vector<seen_by>> done) {
  state_->call([reply = pending(std::move(done)),
                target](front_desk_state& desk) {
    desk.ask(&peers::store, reply, seen_atom_v, target);
  });
}

void client::add_evaluation(finished_evaluation measured,
                            reply<store_evaluation> done) {
  state_->call(
      [reply = pending(std::move(done)),
       record = finished_evaluation_ref(std::make_shared<finished_evaluation>(
           std::move(measured)))](front_desk_state& desk) {
        desk.ask(&peers::engine,
                 then<model_card_ref>(reply,
                                      [&desk, reply, record](
                                          const model_card_ref& card) {
                                        desk.ask(&peers::store, reply,
                                                 evaluate_atom_v, card->base,
                                                 record);
                                      }),
                 card_atom_v);
      });
}

void client::list_evaluations(reply<std::vector<store_evaluation>> done) {
  state_->call([reply = pending(std::move(done))](front_desk_state& desk) {
    desk.ask(&peers::store, reply, evaluations_atom_v);
  });
}

// --- the store -------------------------------------------------------------

void client::check_store(reply<std::vector<std::string>> done) {
  state_->call([reply = pending(std::move(done))](front_desk_state& desk) {
    desk.ask(&peers::store, reply, check_atom_v);
  });
}

void client::backup_store(std::string path, reply<std::string> done) {
  state_->call([reply = pending(std::move(done)),
                path](front_desk_state& desk) {
    desk.ask(&peers::store, reply, backup_atom_v, path);
  });
}

void client::audit(std::int64_t last, reply<std::vector<audit_entry>> done) {
  state_->call([reply = pending(std::move(done)),
                last](front_desk_state& desk) {
    desk.ask(&peers::store, reply, audit_atom_v, last);
  });
}

}  // namespace t2
