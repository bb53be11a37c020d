#include "http/job_board.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <random>
#include <utility>

#include "config/logging.hpp"
#include "http/error_form.hpp"

namespace t2 {
namespace {

constexpr std::array status_names = {"queued", "running", "succeeded",
                                     "failed", "cancelled"};

constexpr const char* cut = "t2 ended while this job ran: ";

error unknown(const std::string& id) {
  return {ec::not_found, "no job '" + id.substr(0, 64) + "'"};
}

ordered_json time_form(const std::optional<std::int64_t>& time) {
  if (!time) return nullptr;
  return *time;
}

}  // namespace

// Ids of an earlier process must not name a job of this one.
job_board::job_board(std::function<std::int64_t()> now, job_journal journal)
    : now_(std::move(now)),
      journal_(std::move(journal)),
      last_(std::uint64_t{std::random_device{}()} << 20) {
  for (const auto& form : journal_.read()) take_over(form);
}

/// A job of an earlier process, which has ended in the middle of it.
void job_board::take_over(const ordered_json& form) {
  job& one = jobs_.emplace_back();
  one.id = form.at("id");
  one.kind = form.at("kind");
  one.subject = form.at("subject");
  one.now = status::failed;
  one.background = true;
  one.own_end = false;
  one.created = form.at("created");
  const auto time = [&](const char* name) -> std::optional<std::int64_t> {
    const auto found = form.find(name);
    if (found == form.end() || !found->is_number_integer()) return {};
    return found->get<std::int64_t>();
  };
  one.started = time("started");
  one.finished = time("finished");
  one.progress = form.value("progress", ordered_json());
  one.failure = form.value("error", ordered_json());
  if (one.ended()) return;
  one.finished = now_();
  one.failure =
      error_form({ec::cancelled, std::string(cut) + "it was killed, or the "
                                     "machine went down; ask for it again"})
          .at("error");
  remember(one);
}

/// Best effort: who asked for the job is not to suffer for a full disk.
void job_board::remember(const job& one) {
  if (!one.background) return;
  const bool over = one.ended() && one.own_end;
  const auto written =
      over ? journal_.erase(one.id) : journal_.put(form_of(one, false));
  if (!written)
    log(log_level::warn, "the jobs' file: " + written.error().message);
}

result<std::string> job_board::open(const std::string& kind,
                                    const std::string& subject,
                                    bool background) {
  const std::lock_guard lock(mutex_);
  const auto live = static_cast<std::size_t>(std::ranges::count_if(
      jobs_, [](const job& one) { return !one.ended(); }));
  if (live >= most_live) {
    return error{ec::busy, std::to_string(live) +
                               " jobs are under way; wait for one of them"};
  }
  char id[32];
  std::snprintf(id, sizeof id, "job-%llx",
                static_cast<unsigned long long>(++last_));
  job& one = jobs_.emplace_back();
  one.id = id;
  one.kind = kind;
  one.subject = subject;
  one.created = now_();
  one.background = background;
  remember(one);
  return one.id;
}

void job_board::on_cancel(const std::string& id, std::function<void()> cancel,
                          std::function<void()> stop) {
  {
    const std::lock_guard lock(mutex_);
    job* one = find(id);
    if (!one || one->ended()) return;
    if (!one->cancelling) {
      one->stop = stop ? std::move(stop) : cancel;
      one->cancel = std::move(cancel);
      return;
    }
  }
  cancel();
}

void job_board::progress(const std::string& id, ordered_json form) {
  const std::lock_guard lock(mutex_);
  job* one = find(id);
  if (!one || one->ended()) return;
  if (!one->started) one->started = now_();
  one->now = status::running;
  one->progress = std::move(form);
  keep_point(*one);
}

void job_board::finish(const std::string& id, result<ordered_json> outcome) {
  const std::lock_guard lock(mutex_);
  job* one = find(id);
  if (!one || one->ended()) return;
  one->finished = now_();
  one->cancel = one->stop = nullptr;
  if (outcome) {
    one->now = status::succeeded;
    one->outcome = *std::move(outcome);
  } else {
    const bool cancelled = outcome.error().code == ec::cancelled;
    // Nobody has asked for that: t2 stops.
    const bool was_cut = cancelled && one->background && !one->cancelling;
    one->now = cancelled && !was_cut ? status::cancelled : status::failed;
    one->own_end = !was_cut;
    error failure = outcome.error();
    if (was_cut) failure.message = cut + failure.message;
    one->failure = error_form(failure).at("error");
  }
  remember(*one);
  forget_the_oldest();
}

result<ordered_json> job_board::show(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto one = std::ranges::find(jobs_, id, &job::id);
  if (one == jobs_.end()) return unknown(id);
  return form_of(*one, true);
}

std::vector<ordered_json> job_board::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<ordered_json> forms;
  for (auto one = jobs_.rbegin(); one != jobs_.rend(); ++one)
    forms.push_back(form_of(*one, false));
  return forms;
}

std::optional<std::string> job_board::live(const std::string& kind,
                                           const std::string& subject) const {
  const std::lock_guard lock(mutex_);
  for (auto one = jobs_.rbegin(); one != jobs_.rend(); ++one)
    if (!one->ended() && one->kind == kind && one->subject == subject)
      return one->id;
  return std::nullopt;
}

result<ordered_json> job_board::cancel(const std::string& id) {
  return end_early(id, &job::cancel);
}

result<ordered_json> job_board::stop(const std::string& id) {
  return end_early(id, &job::stop);
}

result<ordered_json> job_board::end_early(const std::string& id,
                                          std::function<void()> job::*how) {
  std::function<void()> call;
  result<ordered_json> form = unknown(id);
  {
    const std::lock_guard lock(mutex_);
    job* one = find(id);
    if (!one) return form;
    if (!one->ended()) {
      one->cancelling = true;
      call = std::exchange(one->*how, nullptr);
    }
    form = form_of(*one, false);
  }
  if (call) call();
  return form;
}

ordered_json job_board::form_of(const job& one, bool with_curve) {
  ordered_json form = {
      {"id", one.id},
      {"object", "job"},
      {"kind", one.kind},
      {"subject", one.subject},
      {"status", status_names.at(static_cast<std::size_t>(one.now))},
      {"created", one.created},
      {"started", time_form(one.started)},
      {"finished", time_form(one.finished)},
      {"progress", one.progress},
      {"result", one.outcome},
      {"error", one.failure}};
  if (with_curve) form["curve"] = one.curve;
  return form;
}

/// A full curve loses every other point, and takes half as many from then on.
void job_board::keep_point(job& one) {
  if (one.points++ % one.stride != 0) return;
  if (one.curve.size() == most_points) {
    std::size_t kept_points = 0;
    for (std::size_t i = 0; i < one.curve.size(); i += 2)
      one.curve[kept_points++].swap(one.curve[i]);
    one.curve.resize(kept_points);
    one.stride *= 2;
    if ((one.points - 1) % one.stride != 0) return;
  }
  one.curve.push_back(one.progress);
}

job_board::job* job_board::find(const std::string& id) {
  const auto one = std::ranges::find(jobs_, id, &job::id);
  return one == jobs_.end() ? nullptr : &*one;
}

void job_board::forget_the_oldest() {
  auto ended = static_cast<std::size_t>(
      std::ranges::count_if(jobs_, [](const job& one) { return one.ended(); }));
  for (auto one = jobs_.begin(); ended > kept && one != jobs_.end();) {
    if (!one->ended()) {
      ++one;
      continue;
    }
    one = jobs_.erase(one);
    --ended;
  }
}

}  // namespace t2
