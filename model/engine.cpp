#include "model/engine.hpp"

#include <algorithm>
#include <ctime>
#include <numeric>
#include <ranges>

#include "config/sha256.hpp"
#include "model/engine_state.hpp"
#include "model/transformer.hpp"

namespace t2 {
namespace {

constexpr double slice_seconds = 0.05;
// Live steps between two background slices last this many times the slice.
constexpr double live_share = 3;
constexpr std::size_t kept_prefixes = 8;

double seconds(steady_time from, steady_time to) {
  return std::chrono::duration<double>(to - from).count();
}

std::string kept_key(const scoring_row& row, std::size_t length) {
  sha256 digest;
  digest.update(row.delta ? row.delta->digest() : std::string{"base"});
  digest.update(std::as_bytes(std::span{row.tokens}.first(length)));
  return digest.hex();
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

double row_score::sum() const {
  return std::accumulate(log_probabilities.begin(), log_probabilities.end(),
                         0.0);
}

engine::state::state(std::shared_ptr<language_model> m, engine_options o)
    : model(std::move(m)),
      options(std::move(o)),
      pool(model->config(), model->dtype(), model->device(),
           options.kv_bytes) {
  model->network().set_dense_budget(options.dense_bytes);
  model->network().set_delta_rank(options.delta_rank);
}

void engine::state::enqueue(std::shared_ptr<engine_unit> unit) {
  unit->arrival = ++arrivals;
  of(unit->urgency).push_back(std::move(unit));
}

// --- ends ------------------------------------------------------------------

generation_event engine::state::event_of(const answer_unit& unit) const {
  generation_event event;
  event.sequence = unit.owner;
  event.prompt_tokens = unit.prompt_size;
  event.answer_tokens = unit.answer_tokens();
  return event;
}

void engine::state::end(answer_unit& unit, finish_reason reason) {
  auto event = event_of(unit);
  auto rest = unit.text.finish();
  if (rest) event.text = *std::move(rest);
  event.finished = reason;
  emit(unit, event);
}

void engine::state::emit(answer_unit& unit, const generation_event& event) {
  if (unit.request.on_event) unit.request.on_event(event);
}

void engine::state::fail(engine_unit& unit, const error& failure) {
  if (auto* writing = dynamic_cast<answer_unit*>(&unit)) {
    auto event = event_of(*writing);
    event.failure = failure;
    emit(*writing, event);
    return;
  }
  std::shared_ptr<score_request> request;
  if (auto* scored = dynamic_cast<score_unit*>(&unit))
    request = scored->request;
  else if (auto* prompt = dynamic_cast<prefix_unit*>(&unit))
    request = prompt->request;
  if (!request) return;
  auto callback = std::exchange(request->on_scores, nullptr);
  if (callback) callback(failure);
}

void engine::state::fail_owner(engine_unit& unit, const error& failure) {
  if (unit.owner == 0) {
    // A shared prefix: all that continue it fail with it.
    std::vector<sequence_id> owners;
    for (auto& q : queue)
      for (const auto& other : q)
        if (other->parent.get() == &unit) owners.push_back(other->owner);
    std::erase_if(prefixes,
                  [&](const auto& kept) { return kept.unit.get() == &unit; });
    for (auto& q : queue)
      std::erase_if(q, [&](const auto& u) { return u.get() == &unit; });
    for (const auto owner : owners)
      remove(owner, [&](engine_unit& u) { fail(u, failure); });
    return;
  }
  remove(unit.owner, [&](engine_unit& u) { fail(u, failure); });
}

void engine::state::expire() {
  const auto now = options.now();
  for (auto& q : queue)
    for (auto it = q.begin(); it != q.end();) {
      auto* writing = dynamic_cast<answer_unit*>(it->get());
      if (!writing || !writing->request.deadline ||
          *writing->request.deadline > now) {
        ++it;
        continue;
      }
      const auto unit = *it;
      it = q.erase(it);
      end(*writing, finish_reason::deadline);
    }
}

// --- live and background work ----------------------------------------------

/// Tokens of a scoring batch under stream_bytes: activations at their
/// widest, and keys and values.
std::int64_t engine::state::stream_tokens() const {
  const auto& c = model->config();
  const auto activations =
      4 * (6 * c.hidden + (c.heads + 2 * c.kv_heads) * c.head_dim +
           3 * c.intermediate);
  return std::max<std::int64_t>(
      64, options.stream_bytes / (activations + pool.bytes_for(16) / 16));
}

void engine::state::background_slice(bool live_waits) {
  const auto begin = options.now();
  const bool take_job = !jobs.empty() && (job_turn || queue[1].empty());
  job_turn = !take_job;
  if (take_job) run_job();
  else run_background_rows(live_waits);
  slice_length = seconds(begin, options.now());
  live_seconds = 0;
}

void engine::state::run_background_rows(bool live_waits) {
  const auto budget =
      live_waits
          ? std::max<std::int64_t>(
                16, static_cast<std::int64_t>(background_rate * slice_seconds))
          : stream_tokens();
  const auto begin = options.now();
  auto chunks = pack(priority::background, budget);
  if (chunks.empty()) return refuse_first(priority::background);
  std::int64_t tokens = 0;
  std::vector<std::pair<sequence_id, std::int64_t>> by_owner;
  for (const auto& c : chunks) {
    tokens += c.count;
    by_owner.emplace_back(c.unit->owner, c.count);
  }
  const auto given_before = options.thread_time();
  run(std::move(chunks));
  meter_rows(by_owner, given_before);
  const auto taken = seconds(begin, options.now());
  if (taken > 0)
    background_rate =
        0.5 * background_rate + 0.5 * static_cast<double>(tokens) / taken;
}

void engine::state::meter_rows(
    const std::vector<std::pair<sequence_id, std::int64_t>>& tokens,
    std::chrono::nanoseconds begin) const {
  if (!meter) return;
  const auto given = options.thread_time() - begin;
  std::int64_t all = 0;
  for (const auto& [owner, count] : tokens) all += count;
  if (all == 0) return;
  for (const auto& [owner, count] : tokens) meter(owner, given * count / all);
}

void engine::state::run_job() {
  auto current = std::move(jobs.front());
  jobs.pop_front();
  const auto given_before = options.thread_time();
  const bool goes_on = current.work->advance(*model);
  if (meter) meter(current.id, options.thread_time() - given_before);
  if (goes_on) jobs.push_back(std::move(current));
  else if (current.on_done) current.on_done();
}

bool engine::state::step() {
  expire();
  const bool live = !queue[0].empty();
  if (!live && !background_waits()) return false;
  if (!live || (background_waits() &&
                live_seconds >= live_share * slice_length)) {
    background_slice(live);
    return true;
  }
  const auto begin = options.now();
  auto chunks = pack(priority::live, options.step_tokens);
  if (chunks.empty()) {
    refuse_first(priority::live);
    // The cache is the background's: let it go on.
    if (background_waits()) background_slice(true);
  } else {
    run(std::move(chunks));
  }
  live_seconds += seconds(begin, options.now());
  return true;
}

// --- requests --------------------------------------------------------------

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

std::int64_t engine::state::longest() const {
  return std::min(options.max_context, model->config().max_positions);
}

result<void> engine::state::check_delta(const delta_ref& delta) const {
  if (!delta) return {};
  const svf_layout own{model->config(), delta->layout().targets()};
  if (own.total() != delta->layout().total())
    return error{ec::incompatible,
                 "singular delta: expected one for this base with " +
                     std::to_string(own.total()) + " entries, found " +
                     std::to_string(delta->layout().total())};
  return {};
}

engine::engine(std::shared_ptr<language_model> model, engine_options options)
    : state_(std::make_unique<state>(std::move(model), std::move(options))) {}
engine::~engine() = default;

language_model& engine::model() { return *state_->model; }
std::chrono::nanoseconds given_to_this_thread() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds{time.tv_sec} +
         std::chrono::nanoseconds{time.tv_nsec};
}

void engine::on_background(background_meter meter) {
  state_->meter = std::move(meter);
}
std::shared_ptr<const language_model> engine::shared_model() const {
  return state_->model;
}
const engine_options& engine::options() const { return state_->options; }

result<sequence_id> engine::submit(generation_request request) {
  auto& s = *state_;
  if (auto ok = request.sampling.validate(); !ok) return ok.error();
  if (auto ok = s.check_delta(request.delta); !ok) return ok.error();
  if (auto ok = s.check_tokens(request.prompt, "prompt"); !ok) return ok.error();
  const auto size = static_cast<std::int64_t>(request.prompt.size());
  if (size == 0 || size >= s.longest())
    return error{ec::invalid_argument,
                 "prompt: expected 1 to " + std::to_string(s.longest() - 1) +
                     " tokens, found " + std::to_string(size)};
  auto unit = std::make_shared<answer_unit>();
  unit->owner = s.next_id++;
  unit->urgency = request.urgency;
  unit->delta = request.delta;
  unit->tokens = request.prompt;
  unit->prompt_size = size;
  // The last token's keys are never needed.
  unit->capacity = std::min<std::int64_t>(
      s.longest(), size + request.sampling.max_tokens - 1);
  unit->text = answer{s.model->text(), request.sampling.stop};
  if (auto ok = unit->text.begin_after(request.prompt); !ok) return ok.error();
  unit->flow = request.flow;
  unit->request = std::move(request);
  const auto id = unit->owner;
  s.enqueue(std::move(unit));
  return id;
}

result<sequence_id> engine::score(std::vector<scoring_row> rows,
                                  scores_callback on_scores, priority urgency,
                                  std::size_t shared_prefix, flow_id flow) {
  auto& s = *state_;
  if (rows.empty())
    return error{ec::invalid_argument, "scoring: expected rows, found none"};
  for (const auto& row : rows) {
    if (auto ok = s.check_delta(row.delta); !ok) return ok.error();
    if (auto ok = s.check_tokens(row.tokens, "text to score"); !ok)
      return ok.error();
    if (static_cast<std::int64_t>(row.tokens.size()) > s.longest())
      return error{ec::invalid_argument,
                   "text to score: expected at most " +
                       std::to_string(s.longest()) + " tokens, found " +
                       std::to_string(row.tokens.size())};
    if (row.answer_begin < 1 || row.answer_begin >= row.tokens.size())
      return error{ec::invalid_argument,
                   "text to score: expected an answer after at least one token "
                   "of prompt, found it at " +
                       std::to_string(row.answer_begin) + " of " +
                       std::to_string(row.tokens.size())};
    const auto& first = rows.front();
    if (shared_prefix > 0 &&
        (row.answer_begin <= shared_prefix || row.delta != first.delta ||
         !std::equal(row.tokens.begin(),
                     row.tokens.begin() +
                         static_cast<std::ptrdiff_t>(shared_prefix),
                     first.tokens.begin())))
      return error{ec::invalid_argument,
                   "scoring: expected rows that share their first " +
                       std::to_string(shared_prefix) +
                       " tokens and their delta, found others"};
  }
  auto request = std::make_shared<score_request>();
  request->id = s.next_id++;
  request->scores.resize(rows.size());
  request->missing = rows.size();
  request->on_scores = std::move(on_scores);

  std::shared_ptr<prefix_unit> prefix;
  std::string key;
  if (shared_prefix > 0) {
    key = kept_key(rows.front(), shared_prefix);
    const auto at = std::ranges::find(s.prefixes, key, &state::kept_prefix::key);
    if (at != s.prefixes.end()) {
      prefix = at->unit;
      s.prefixes.splice(s.prefixes.begin(), s.prefixes, at);
    }
  }
  const bool known = prefix != nullptr;
  for (auto& unit : plan_scoring(std::move(rows), request, urgency,
                                 shared_prefix, prefix)) {
    unit->flow = flow;
    s.enqueue(std::move(unit));
  }
  if (prefix && !known) {
    s.prefixes.push_front({std::move(key), std::move(prefix)});
    if (s.prefixes.size() > kept_prefixes) s.prefixes.pop_back();
  }
  return request->id;
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
  return s.remove(id, [&](engine_unit& unit) {
    if (auto* writing = dynamic_cast<answer_unit*>(&unit))
      s.end(*writing, finish_reason::cancelled);
    else s.fail(unit, {ec::cancelled, "scoring was cancelled"});
  });
}

bool engine::step() { return state_->step(); }

bool engine::idle() const {
  return state_->queue[0].empty() && !state_->background_waits();
}

engine_statistics engine::statistics() const {
  auto out = state_->counters;
  for (const auto& q : state_->queue)
    for (const auto& unit : q) ++(unit->kv ? out.running : out.waiting);
  const auto cached = state_->cache.idle_pages() * state_->pool.page_bytes();
  out.kv_bytes_cached = cached;
  out.kv_bytes_used = state_->pool.bytes_used() - cached;
  out.kv_bytes_budget = state_->pool.budget_bytes();
  out.plan_steps = state_->model->network().plan_steps();
  out.dense_bytes_used = state_->model->network().dense().bytes();
  out.dense_builds = state_->model->network().dense().builds();
  return out;
}

}  // namespace t2
