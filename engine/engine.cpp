#include "engine/engine.hpp"

#include <ATen/Parallel.h>

#include <algorithm>
#include <ctime>
#include <deque>
#include <limits>
#include <unordered_map>
#include <utility>
#include <variant>

#include "engine/answer.hpp"
#include "engine/executor.hpp"
#include "engine/scheduler.hpp"
#include "engine/turns.hpp"
#include "model/language_model.hpp"

namespace t2 {
namespace {

double seconds(steady_time from, steady_time to) {
  return std::chrono::duration<double>(to - from).count();
}

/// An answer being written.
struct written_answer {
  generation_request request;
  answer text{nullptr, {}};
  std::int64_t prompt_size = 0;
  bool counted = false;  // among the prompts
};

page_id pages_of(const language_model& model, std::int64_t bytes) {
  return static_cast<page_id>(std::min<std::int64_t>(
      bytes / kv_page_bytes(model.config(), model.dtype()),
      std::numeric_limits<page_id>::max()));
}

}  // namespace

std::string_view to_string(finish_reason reason) {
  switch (reason) {
    case finish_reason::stop: return "stop";
    case finish_reason::length: return "length";
    case finish_reason::cancelled: return "cancelled";
    case finish_reason::deadline: return "deadline";
  }
  return "unknown";
}

std::chrono::nanoseconds given_to_this_thread() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds{time.tv_sec} +
         std::chrono::nanoseconds{time.tv_nsec};
}

struct engine::state {
  using sequence_ref = scheduler::sequence_ref;
  struct job {
    sequence_id id;
    std::shared_ptr<engine_job> work;
    std::function<void()> on_done;
  };

  state(std::shared_ptr<language_model> m, engine_options o)
      : model(std::move(m)),
        options(std::move(o)),
        pages(pages_of(*model, options.kv_bytes)),
        plans(pages, cache, options.max_sequences),
        computing(model->network(), pages.size()),
        deltas(options.delta_bytes) {
    model->network().set_dense_budget(options.dense_bytes);
    model->network().set_delta_rank(options.delta_rank);
  }

  // Requests.
  result<void> check_tokens(std::span<const token_id> tokens,
                            std::string_view what) const;
  result<void> check_delta(const delta_ref& delta);
  std::int64_t longest() const {
    return std::min(options.max_context, model->config().max_positions);
  }
  void add(const sequence_ref& fresh, const delta_ref& delta);

  // Ends: whoever asked hears of each once.
  generation_event event_of(const sequence& s, const written_answer& a) const;
  void end(const sequence_ref& s, finish_reason reason);
  void forget(const sequence_ref& s);
  bool remove(sequence_id owner, const error& failure);
  void expire();

  // Steps.
  bool step();
  void background_slice(bool live_waits);
  void run_job();
  bool compute(priority urgency, std::int64_t budget);
  std::int64_t stream_tokens() const;
  void meter_rows(const scheduler::plan& of,
                  std::chrono::nanoseconds begin) const;
  bool background_waits() const {
    return !plans.of(priority::background).empty() || !jobs.empty();
  }

  // Delivery of what a step computed.
  void count(const scheduler::plan& plan);
  void deliver(const scheduler::plan& plan, const step_output& output);
  void sample(const std::vector<sequence_ref>& answers,
              const at::Tensor& logits_rv);
  void accept(const sequence_ref& s, sampled_token drawn);

  std::shared_ptr<language_model> model;
  engine_options options;
  page_pool pages;
  prefix_cache cache{pages};
  scheduler plans;
  executor computing;
  delta_table deltas;
  // What is behind each of the scheduler's sequences.
  std::unordered_map<const sequence*, std::variant<written_answer, scored_text>>
      behind;
  sequence_id next_id = 1;
  std::deque<job> jobs;
  bool job_turn = false;
  turns turn;
  engine_statistics counters;
  background_meter meter;  // may be none
};

// --- requests ----------------------------------------------------------------

result<void> engine::state::check_tokens(std::span<const token_id> tokens,
                                         std::string_view what) const {
  const auto vocabulary = model->config().vocabulary;
  for (const auto token : tokens)
    if (token < 0 || token >= vocabulary)
      return error{ec::invalid_argument,
                   std::string{what} + ": expected token ids below " +
                       std::to_string(vocabulary) + ", found " +
                       std::to_string(token)};
  return {};
}

result<void> engine::state::check_delta(const delta_ref& delta) {
  if (!delta || deltas.find(delta->digest())) return {};
  const svf_layout own{model->config(), delta->layout().targets()};
  if (!own.matches(delta->layout()))
    return error{ec::incompatible,
                 "singular delta: expected one for this base with " +
                     std::to_string(own.total()) + " entries, found " +
                     std::to_string(delta->layout().total())};
  return {};
}

void engine::state::add(const sequence_ref& fresh, const delta_ref& delta) {
  fresh->slot = deltas.hold(delta);
  if (delta) fresh->scope.mixture = delta->digest();
  // Live rows may be computed with fewer singular values.
  fresh->scope.exact = !delta || options.delta_rank == 0 ||
                       fresh->urgency == priority::background;
  plans.add(fresh);
}

result<sequence_id> engine::submit(generation_request request) {
  auto& s = *state_;
  if (auto ok = request.sampling.validate(); !ok) return ok.error();
  if (auto ok = s.check_delta(request.delta); !ok) return ok.error();
  if (auto ok = s.check_tokens(request.prompt, "prompt"); !ok)
    return ok.error();
  const auto size = static_cast<std::int64_t>(request.prompt.size());
  if (size == 0 || size >= s.longest())
    return error{ec::invalid_argument,
                 "prompt: expected 1 to " + std::to_string(s.longest() - 1) +
                     " tokens, found " + std::to_string(size)};
  answer text{s.model->text(), request.sampling.stop};
  if (auto ok = text.begin_after(request.prompt); !ok) return ok.error();
  auto row = std::make_shared<sequence>();
  const auto id = row->owner = s.next_id++;
  row->urgency = request.urgency;
  row->flow = request.flow;
  row->tokens = request.prompt;
  row->wanted_from = size - 1;
  // The last token's keys are never needed.
  row->capacity = std::min<std::int64_t>(
      s.longest(), size + request.sampling.max_tokens - 1);
  row->scope.owner = request.cache_scope;
  if (row->urgency == priority::live)
    row->stays = std::numeric_limits<std::int64_t>::max();
  s.add(row, request.delta);
  s.behind.emplace(row.get(), written_answer{.request = std::move(request),
                                             .text = std::move(text),
                                             .prompt_size = size});
  return id;
}

result<sequence_id> engine::score(std::vector<scoring_row> rows,
                                  scores_callback on_scores, priority urgency,
                                  std::size_t stays, flow_id flow) {
  auto& s = *state_;
  if (rows.empty())
    return error{ec::invalid_argument, "scoring: expected rows, found none"};
  for (const auto& row : rows) {
    if (auto ok = s.check_delta(row.delta); !ok) return ok.error();
    if (auto ok = s.check_tokens(row.tokens, "text to score"); !ok)
      return ok.error();
    if (static_cast<std::int64_t>(row.tokens.size()) > s.longest())
      return error{ec::invalid_argument, "text to score: expected at most " +
                                             std::to_string(s.longest()) +
                                             " tokens, found " +
                                             std::to_string(row.tokens.size())};
    if (row.answer_begin < 1 || row.answer_begin >= row.tokens.size())
      return error{ec::invalid_argument,
                   "text to score: expected an answer after at least one token "
                   "of prompt, found it at " +
                       std::to_string(row.answer_begin) + " of " +
                       std::to_string(row.tokens.size())};
  }
  std::vector<delta_ref> mixtures;
  for (const auto& row : rows) mixtures.push_back(row.delta);
  auto request = std::make_shared<score_request>();
  request->on_scores = std::move(on_scores);
  const auto id = s.next_id++;
  for (auto& [row, told] : plan_scoring(std::move(rows), request)) {
    row->owner = id;
    row->urgency = urgency;
    row->flow = flow;
    row->stays = static_cast<std::int64_t>(stays);
    s.add(row, mixtures[told.row]);
    s.behind.emplace(row.get(), std::move(told));
  }
  return id;
}

sequence_id engine::run(std::shared_ptr<engine_job> job,
                        std::function<void()> on_done) {
  state_->jobs.push_back({state_->next_id, std::move(job), std::move(on_done)});
  return state_->next_id++;
}

bool engine::cancel(sequence_id id) {
  auto& s = *state_;
  const auto job = std::ranges::find(s.jobs, id, &state::job::id);
  if (job != s.jobs.end()) {
    auto done = std::move(job->on_done);
    s.jobs.erase(job);
    if (done) done();
    return true;
  }
  const auto found = s.plans.of_owner(id);
  if (found.size() == 1 && found.front()->answers) {
    s.end(found.front(), finish_reason::cancelled);
    return true;
  }
  return s.remove(id, {ec::cancelled, "scoring was cancelled"});
}

// --- ends --------------------------------------------------------------------

generation_event engine::state::event_of(const sequence& s,
                                         const written_answer& a) const {
  generation_event event;
  event.sequence = s.owner;
  event.prompt_tokens = a.prompt_size;
  event.answer_tokens = s.size() - a.prompt_size;
  return event;
}

void engine::state::forget(const sequence_ref& s) {
  plans.remove(s);
  deltas.release(s->slot);
  behind.erase(s.get());
}

void engine::state::end(const sequence_ref& s, finish_reason reason) {
  auto ended = std::get<written_answer>(std::move(behind.at(s.get())));
  auto event = event_of(*s, ended);
  forget(s);
  if (auto rest = ended.text.finish()) event.text = *std::move(rest);
  event.finished = reason;
  if (ended.request.on_event) ended.request.on_event(event);
}

/// Ends all sequences of `owner` with this error.
bool engine::state::remove(sequence_id owner, const error& failure) {
  const auto found = plans.of_owner(owner);
  for (const auto& s : found) {
    auto ended = std::move(behind.at(s.get()));
    auto event = s->answers ? event_of(*s, std::get<written_answer>(ended))
                            : generation_event{};
    forget(s);
    if (auto* written = std::get_if<written_answer>(&ended)) {
      event.failure = failure;
      if (written->request.on_event) written->request.on_event(event);
    } else if (auto tell = std::exchange(
                   std::get<scored_text>(ended).request->on_scores, nullptr)) {
      tell(failure);
    }
  }
  return !found.empty();
}

void engine::state::expire() {
  const auto now = options.now();
  std::vector<sequence_ref> late;
  for (const auto urgency : {priority::live, priority::background})
    for (const auto& s : plans.of(urgency)) {
      if (!s->answers) continue;
      const auto& deadline =
          std::get<written_answer>(behind.at(s.get())).request.deadline;
      if (deadline && *deadline <= now) late.push_back(s);
    }
  for (const auto& s : late) end(s, finish_reason::deadline);
}

// --- live and background work ------------------------------------------------

/// Tokens of a scoring batch under stream_bytes: activations at their
/// widest, and keys and values.
std::int64_t engine::state::stream_tokens() const {
  const auto& c = model->config();
  const auto activations =
      4 * (6 * c.hidden + (c.heads + 2 * c.kv_heads) * c.head_dim +
           3 * c.intermediate);
  return std::max<std::int64_t>(
      64,
      options.stream_bytes / (activations + kv_page_bytes(c, model->dtype()) /
                                                kv_store::page_tokens));
}

bool engine::state::step() {
  expire();
  const bool live = !plans.of(priority::live).empty();
  if (!live && !background_waits()) return false;
  if (turn.is_backgrounds(live, background_waits())) {
    background_slice(live);
    return true;
  }
  const auto begin = options.now();
  // Where live rows find no room the cache is the background's: let it go on.
  if (!compute(priority::live, options.step_tokens) && background_waits())
    background_slice(true);
  turn.live_took(seconds(begin, options.now()));
  return true;
}

void engine::state::background_slice(bool live_waits) {
  const auto begin = options.now();
  const bool take_job =
      !jobs.empty() && (job_turn || plans.of(priority::background).empty());
  job_turn = !take_job;
  if (take_job)
    run_job();
  else
    compute(priority::background,
            live_waits ? turn.slice_tokens() : stream_tokens());
  turn.background_took(seconds(begin, options.now()));
}

void engine::state::run_job() {
  auto current = std::move(jobs.front());
  jobs.pop_front();
  const auto given_before = options.thread_time();
  const bool goes_on = current.work->advance(*model);
  if (meter) meter(current.id, options.thread_time() - given_before);
  if (goes_on)
    jobs.push_back(std::move(current));
  else if (current.on_done)
    current.on_done();
}

void engine::state::meter_rows(const scheduler::plan& of,
                               std::chrono::nanoseconds begin) const {
  const auto given = options.thread_time() - begin;
  std::int64_t all = 0;
  for (const auto& c : of.chunks) all += c.count;
  for (const auto& [s, tokens] : of.chunks)
    meter(s->owner, given * tokens / all);
}

/// Plans a step, computes it and delivers what came out. False: there was none.
bool engine::state::compute(priority urgency, std::int64_t budget) {
  const auto begin = options.now();
  const auto plan = plans.next(urgency, budget);
  if (plan.chunks.empty()) {
    for (const auto& [s, why] : plan.refused) remove(s->owner, why);
    return !plan.refused.empty();
  }
  const bool background = urgency == priority::background;
  const auto given_before =
      background && meter ? options.thread_time() : std::chrono::nanoseconds{};
  auto output = computing.run(make_step(plan), deltas);
  if (!output) {
    plans.failed(plan);
    for (const auto& c : plan.chunks) remove(c.of->owner, output.error());
    return true;
  }
  count(plan);
  deliver(plan, *output);
  if (!background) return true;
  if (meter) meter_rows(plan, given_before);
  std::int64_t tokens = 0;
  for (const auto& c : plan.chunks) tokens += c.count;
  turn.slice_computed(tokens, seconds(begin, options.now()));
  return true;
}

// --- delivery ----------------------------------------------------------------

void engine::state::count(const scheduler::plan& plan) {
  ++counters.steps;
  const auto rows = std::ssize(plan.chunks);
  const auto& bounds = engine_statistics::row_bounds;
  const auto at = std::ranges::lower_bound(bounds, rows) - bounds.begin();
  ++counters.step_rows[static_cast<std::size_t>(at)];
  counters.rows += static_cast<std::uint64_t>(rows);
  for (const auto& [s, tokens] : plan.chunks) {
    const auto n = static_cast<std::uint64_t>(tokens);
    auto* written = std::get_if<written_answer>(&behind.at(s.get()));
    if (!written) {
      counters.scored_tokens += n;
      continue;
    }
    if (!std::exchange(written->counted, true)) {
      counters.prompt_tokens +=
          static_cast<std::uint64_t>(written->prompt_size);
      counters.prompt_tokens_cached += static_cast<std::uint64_t>(s->found);
    }
    const bool decodes = n == 1 && s->size() > written->prompt_size;
    (decodes ? counters.decode_tokens : counters.prefill_tokens) += n;
  }
}

void engine::state::deliver(const scheduler::plan& plan,
                            const step_output& output) {
  std::vector<sequence_ref> answers, read;
  const auto* log_p = output.log_probabilities.data();
  for (const auto& [s, count] : plan.chunks) {
    const auto end = s->computed + count;
    if (s->answers) {
      if (end > s->wanted_from) answers.push_back(s);
      continue;
    }
    const auto& told = std::get<scored_text>(behind.at(s.get()));
    for (auto p = std::max(s->wanted_from, s->computed); p < end; ++p)
      log_p += told.take(p, log_p);
    if (end == s->size()) read.push_back(s);
  }
  plans.done(plan);
  for (const auto& s : read) {
    const auto request = std::get<scored_text>(behind.at(s.get())).request;
    forget(s);
    if (--request->missing > 0) continue;
    if (auto tell = std::exchange(request->on_scores, nullptr))
      tell(std::move(request->scores));
  }
  if (!answers.empty()) sample(answers, output.logits_rv);
}

void engine::state::sample(const std::vector<sequence_ref>& answers,
                           const at::Tensor& logits_rv) {
  auto* logits = logits_rv.data_ptr<float>();
  const auto vocabulary = static_cast<std::size_t>(logits_rv.size(1));
  std::vector<const generation_request*> requests;
  for (const auto& s : answers)
    requests.push_back(&std::get<written_answer>(behind.at(s.get())).request);
  std::vector<result<sampled_token>> drawn(answers.size(), sampled_token{});
  at::parallel_for(
      0, std::ssize(answers), 1, [&](std::int64_t begin, std::int64_t end) {
        for (auto at = begin; at < end; ++at) {
          const auto i = static_cast<std::size_t>(at);
          const auto& tokens = answers[i]->tokens;
          drawn[i] =
              sample_token(std::span{logits + i * vocabulary, vocabulary},
                           tokens, requests[i]->sampling, requests[i]->stream,
                           static_cast<std::int64_t>(tokens.size()));
        }
      });
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (drawn[i])
      accept(answers[i], *std::move(drawn[i]));
    else
      remove(answers[i]->owner, drawn[i].error());
  }
}

void engine::state::accept(const sequence_ref& s, sampled_token drawn) {
  auto& written = std::get<written_answer>(behind.at(s.get()));
  const auto& sampling = written.request.sampling;
  const auto& eos = model->config().eos_tokens;
  if (!sampling.ignore_eos && std::ranges::find(eos, drawn.token) != eos.end())
    return end(s, finish_reason::stop);
  s->tokens.push_back(drawn.token);
  s->wanted_from = s->size() - 1;
  auto piece = written.text.push(drawn.token);
  if (!piece) {
    remove(s->owner, piece.error());
    return;
  }
  auto event = event_of(*s, written);
  event.text = std::move(piece->text);
  event.tokens.push_back(std::move(drawn));
  if (piece->stopped) {
    event.finished = finish_reason::stop;
  } else if (event.answer_tokens >= sampling.max_tokens ||
             s->size() >= longest()) {
    if (auto rest = written.text.finish()) event.text += *rest;
    event.finished = finish_reason::length;
  }
  if (!event.finished) {
    if (written.request.on_event) written.request.on_event(event);
    return;
  }
  const auto tell = std::move(written.request.on_event);
  forget(s);
  if (tell) tell(event);
}

// --- engine ------------------------------------------------------------------

engine::engine(std::shared_ptr<language_model> model, engine_options options)
    : state_(std::make_unique<state>(std::move(model), std::move(options))) {}
engine::~engine() = default;

language_model& engine::model() {
  return *state_->model;
}
std::shared_ptr<const language_model> engine::shared_model() const {
  return state_->model;
}
const engine_options& engine::options() const {
  return state_->options;
}
void engine::on_background(background_meter meter) {
  state_->meter = std::move(meter);
}
bool engine::step() {
  return state_->step();
}

bool engine::idle() const {
  return state_->plans.of(priority::live).empty() &&
         !state_->background_waits();
}

engine_statistics engine::statistics() const {
  const auto& s = *state_;
  auto out = s.counters;
  out.running = s.plans.running();
  out.waiting = std::ssize(s.plans.of(priority::live)) +
                std::ssize(s.plans.of(priority::background)) - out.running;
  out.preemptions = s.plans.preemptions();
  const auto page_bytes = kv_page_bytes(s.model->config(), s.model->dtype());
  out.kv_bytes_cached = s.pages.idle() * page_bytes;
  out.kv_bytes_used = s.pages.used() * page_bytes;
  out.kv_bytes_budget = s.options.kv_bytes;
  out.plan_steps = s.model->network().plan_steps();
  out.dense_bytes_used = s.model->network().dense().bytes();
  out.dense_builds = s.model->network().dense().builds();
  return out;
}

}  // namespace t2
