#include "model/engine.hpp"

#include <ATen/core/Tensor.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/index_select.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <deque>
#include <exception>
#include <list>
#include <map>
#include <numeric>
#include <ranges>

#include "config/sha256.hpp"
#include "model/engine_unit.hpp"
#include "model/language_model.hpp"
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

std::string prefix_key(const scoring_row& row, std::size_t length) {
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

struct engine::state {
  struct job {
    sequence_id id;
    std::shared_ptr<engine_job> work;
    std::function<void()> on_done;
  };
  /// What one step computes of one unit.
  struct chunk {
    std::shared_ptr<engine_unit> unit;
    std::int64_t count = 0;
  };
  using units = std::list<std::shared_ptr<engine_unit>>;

  std::shared_ptr<language_model> model;
  engine_options options;
  kv_pool pool;
  sequence_id next_id = 1;
  units queue[2];  // by priority, in order of arrival
  std::deque<job> jobs;
  bool job_turn = false;
  struct kept_prefix {
    std::string key;
    std::shared_ptr<prefix_unit> unit;
  };
  std::list<kept_prefix> prefixes;  // most recently used first
  engine_statistics counters;
  double live_seconds = 0;        // since the last background slice
  double slice_length = 0;        // of that slice
  double background_rate = 2000;  // tokens a second, measured

  state(std::shared_ptr<language_model> m, engine_options o)
      : model(std::move(m)),
        options(std::move(o)),
        pool(model->config(), model->dtype(), model->device(),
             options.kv_bytes) {
    model->network().set_dense_budget(options.dense_bytes);
  }

  units& of(priority urgency) {
    return queue[static_cast<std::size_t>(urgency)];
  }

  // --- ends ---------------------------------------------------------------

  generation_event event_of(const answer_unit& unit) const {
    generation_event event;
    event.sequence = unit.owner;
    event.prompt_tokens = unit.prompt_size;
    event.answer_tokens = unit.answer_tokens();
    return event;
  }

  void end(answer_unit& unit, finish_reason reason) {
    auto event = event_of(unit);
    auto rest = unit.text.finish();
    if (rest) event.text = *std::move(rest);
    event.finished = reason;
    emit(unit, event);
  }

  static void emit(answer_unit& unit, const generation_event& event) {
    if (unit.request.on_event) unit.request.on_event(event);
  }

  void fail(engine_unit& unit, const error& failure) {
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

  /// Removes all units of `owner`; each tells its caller through `tell`.
  template <class F>
  bool remove(sequence_id owner, F&& tell) {
    bool found = false;
    for (auto& q : queue)
      for (auto it = q.begin(); it != q.end();) {
        if ((*it)->owner != owner) {
          ++it;
          continue;
        }
        const auto unit = *it;
        it = q.erase(it);
        tell(*unit);
        found = true;
      }
    return found;
  }

  void fail_owner(engine_unit& unit, const error& failure) {
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

  void expire() {
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

  // --- packing ------------------------------------------------------------

  /// Gives a unit its cache; false if there is no room now.
  bool place(engine_unit& unit) {
    if (unit.kv || unit.capacity == 0) return true;
    std::shared_ptr<kv_sequence> parent;
    if (unit.parent) parent = unit.parent->kv;
    unit.kv = pool.allocate(unit.capacity, parent, unit.start);
    while (!unit.kv && drop_idle_prefix())
      unit.kv = pool.allocate(unit.capacity, parent, unit.start);
    return unit.kv != nullptr;
  }

  bool drop_idle_prefix() {
    for (auto it = prefixes.end(); it != prefixes.begin();)
      if ((--it)->unit->pending() == 0 && it->unit.use_count() == 1) {
        prefixes.erase(it);
        return true;
      }
    return false;
  }

  std::vector<chunk> pack(priority urgency, std::int64_t budget) {
    std::vector<chunk> chunks;
    std::int64_t running = 0;
    // Rows that decode go first: nobody's next token waits for a prompt.
    const auto decodes = [](const engine_unit& u) {
      return u.kv && u.pending() == 1 && dynamic_cast<const answer_unit*>(&u);
    };
    std::vector<const engine_unit*> complete;  // by the end of this step
    for (const bool decoding : {true, false})
      for (const auto& unit : of(urgency)) {
        if (decodes(*unit) != decoding) continue;
        if (budget <= 0) return chunks;
        if (unit->parent && unit->parent->pending() > 0 &&
            std::ranges::find(complete, unit->parent.get()) == complete.end())
          continue;
        if (dynamic_cast<answer_unit*>(unit.get()) &&
            ++running > options.max_sequences)
          continue;
        if (!place(*unit)) return chunks;
        const auto count = std::min(budget, unit->pending());
        if (count == unit->pending()) complete.push_back(unit.get());
        budget -= count;
        chunks.push_back({unit, count});
      }
    return chunks;
  }

  /// Tokens of a scoring batch under stream_bytes: activations at their
  /// widest, and keys and values.
  std::int64_t stream_tokens() const {
    const auto& c = model->config();
    const auto activations =
        4 * (6 * c.hidden + (c.heads + 2 * c.kv_heads) * c.head_dim +
             3 * c.intermediate);
    return std::max<std::int64_t>(
        64, options.stream_bytes / (activations + pool.bytes_for(16) / 16));
  }

  // --- one packed step ----------------------------------------------------

  /// Runs the chunks; the rows' hidden states come back as [wanted rows, H].
  result<at::Tensor> forward(std::vector<chunk>& chunks) {
    // Base rows first, then mixture by mixture: each plan sees whole runs. A
    // parent stays before its children, which have its delta.
    std::ranges::stable_sort(chunks, {}, [](const chunk& c) {
      return c.unit->delta ? c.unit->delta->digest() : std::string{};
    });
    packed_step step;
    for (const auto& [unit, count] : chunks) {
      const auto begin = static_cast<std::int64_t>(step.tokens.size());
      const auto from = unit->tokens.begin() +
                        static_cast<std::ptrdiff_t>(unit->computed);
      step.tokens.insert(step.tokens.end(), from, from + count);
      step.spans.push_back(
          {begin, begin + count, unit->computed, unit->kv.get()});
      step.deltas.push_back(unit->delta);
      for (std::int64_t i = 0; i < count; ++i)
        if (unit->wants(unit->computed + i))
          step.logit_rows.push_back(begin + i);
    }
    return model->network().forward(step);
  }

  void run(std::vector<chunk> chunks) {
    try {
      auto hidden = forward(chunks);
      if (!hidden) return fail_all(chunks, hidden.error());
      advance(chunks, *hidden);
    } catch (const std::exception& e) {
      // Out of memory, or a library's refusal: its first line.
      const std::string what = e.what();
      fail_all(chunks, {ec::internal,
                        "engine step failed: " + what.substr(0, what.find('\n'))});
    }
  }

  void fail_all(const std::vector<chunk>& chunks, const error& failure) {
    for (const auto& c : chunks) fail_owner(*c.unit, failure);
  }

  void advance(const std::vector<chunk>& chunks, const at::Tensor& hidden_rh) {
    std::vector<std::int64_t> answer_rows, score_rows;
    std::vector<std::int64_t> scored_under;  // row of score_rows, each target's
    std::vector<std::shared_ptr<answer_unit>> answers;
    std::vector<row_score*> scored;  // of the chunks' requests
    std::vector<token_id> targets;
    std::int64_t row = 0;
    for (const auto& [unit, count] : chunks) {
      const auto first = unit->computed;
      unit->computed += count;
      auto writing = std::dynamic_pointer_cast<answer_unit>(unit);
      auto score = std::dynamic_pointer_cast<score_unit>(unit);
      const auto* prompt = dynamic_cast<const prefix_unit*>(unit.get());
      for (auto p = first; p < unit->computed; ++p) {
        if (!unit->wants(p)) continue;
        if (writing) {
          answers.push_back(writing);
          answer_rows.push_back(row);
        } else if (score) {
          scored_under.push_back(static_cast<std::int64_t>(score_rows.size()));
          targets.push_back(score->token_after(p));
          scored.push_back(&score->request->scores[score->index]);
          score_rows.push_back(row);
        } else if (prompt) {
          for (const auto& first_token : prompt->firsts) {
            scored_under.push_back(
                static_cast<std::int64_t>(score_rows.size()));
            targets.push_back(first_token.token);
            scored.push_back(&prompt->request->scores[first_token.row]);
          }
          score_rows.push_back(row);
        }
        ++row;
      }
      if (score) counters.scored_tokens += static_cast<std::uint64_t>(count);
      else if (count == 1 && writing && writing->answer_tokens() > 0)
        ++counters.decode_tokens;
      else counters.prefill_tokens += static_cast<std::uint64_t>(count);
    }
    ++counters.steps;
    if (!scored.empty()) {
      const auto log_p = model->network().log_probabilities(
          pick(hidden_rh, score_rows), scored_under, targets);
      for (std::size_t i = 0; i < scored.size(); ++i)
        scored[i]->log_probabilities.push_back(log_p[i]);
      for (const auto& [unit, count] : chunks) {
        if (unit->pending() > 0) continue;
        if (auto* score = dynamic_cast<score_unit*>(unit.get())) {
          of(unit->urgency).remove(unit);
          finish_row(*score->request);
        } else if (auto* prompt = dynamic_cast<prefix_unit*>(unit.get())) {
          for (const auto& first_token : prompt->firsts)
            if (first_token.whole) finish_row(*prompt->request);
        }
      }
    }
    for (const auto& [unit, count] : chunks)
      if (dynamic_cast<prefix_unit*>(unit.get()) && unit->pending() == 0)
        of(unit->urgency).remove(unit);
    if (!answers.empty())
      sample_all(answers, pick(hidden_rh, answer_rows));
  }

  static at::Tensor pick(const at::Tensor& hidden_rh,
                         std::vector<std::int64_t>& rows) {
    if (static_cast<std::int64_t>(rows.size()) == hidden_rh.size(0))
      return hidden_rh;
    const c10::InferenceMode inference;
    return hidden_rh.index_select(
        0, at::from_blob(rows.data(), {static_cast<std::int64_t>(rows.size())},
                         at::kLong)
               .to(hidden_rh.device()));
  }

  static void finish_row(score_request& request) {
    if (--request.missing > 0) return;
    auto callback = std::exchange(request.on_scores, nullptr);
    if (callback) callback(std::move(request.scores));
  }

  void sample_all(const std::vector<std::shared_ptr<answer_unit>>& answers,
                  const at::Tensor& hidden_rh) {
    auto logits_rv = model->network().logits(hidden_rh).contiguous();
    auto* logits = logits_rv.data_ptr<float>();
    const auto vocabulary = static_cast<std::size_t>(logits_rv.size(1));
    for (std::size_t i = 0; i < answers.size(); ++i) {
      auto& unit = *answers[i];
      const auto drawn = sample_token(
          std::span{logits + i * vocabulary, vocabulary}, unit.tokens,
          unit.request.sampling, unit.request.stream,
          static_cast<std::int64_t>(unit.tokens.size()));
      accept(answers[i], drawn);
    }
  }

  void accept(const std::shared_ptr<answer_unit>& unit, sampled_token drawn) {
    const auto& sampling = unit->request.sampling;
    const auto& eos = model->config().eos_tokens;
    if (!sampling.ignore_eos && std::ranges::find(eos, drawn.token) != eos.end()) {
      of(unit->urgency).remove(unit);
      return end(*unit, finish_reason::stop);
    }
    unit->tokens.push_back(drawn.token);
    auto piece = unit->text.push(drawn.token);
    if (!piece) {
      of(unit->urgency).remove(unit);
      return fail(*unit, piece.error());
    }
    auto event = event_of(*unit);
    event.text = std::move(piece->text);
    event.tokens.push_back(drawn);
    if (piece->stopped) {
      of(unit->urgency).remove(unit);
      event.finished = finish_reason::stop;
    } else if (unit->answer_tokens() >= sampling.max_tokens ||
               static_cast<std::int64_t>(unit->tokens.size()) >= longest()) {
      of(unit->urgency).remove(unit);
      if (auto rest = unit->text.finish()) event.text += *rest;
      event.finished = finish_reason::length;
    }
    emit(*unit, event);
  }

  // --- background ---------------------------------------------------------

  bool background_waits() const { return !queue[1].empty() || !jobs.empty(); }

  void background_slice(bool live_waits) {
    const auto begin = options.now();
    const bool take_job = !jobs.empty() && (job_turn || queue[1].empty());
    job_turn = !take_job;
    if (take_job) run_job();
    else run_background_rows(live_waits);
    slice_length = seconds(begin, options.now());
    live_seconds = 0;
  }

  void run_background_rows(bool live_waits) {
    const auto budget =
        live_waits
            ? std::max<std::int64_t>(
                  16, static_cast<std::int64_t>(background_rate * slice_seconds))
            : stream_tokens();
    const auto begin = options.now();
    auto chunks = pack(priority::background, budget);
    if (chunks.empty()) return refuse_first(priority::background);
    std::int64_t tokens = 0;
    for (const auto& c : chunks) tokens += c.count;
    run(std::move(chunks));
    const auto taken = seconds(begin, options.now());
    if (taken > 0)
      background_rate =
          0.5 * background_rate + 0.5 * static_cast<double>(tokens) / taken;
  }

  void run_job() {
    auto current = std::move(jobs.front());
    jobs.pop_front();
    if (current.work->advance(*model)) jobs.push_back(std::move(current));
    else if (current.on_done) current.on_done();
  }

  /// Nothing could be packed although units wait. With live rows running it
  /// is only the cache that is full for now; alone, the first unit will never
  /// fit.
  void refuse_first(priority urgency) {
    auto& q = of(urgency);
    if (q.empty()) return;
    for (auto& other : queue)
      for (const auto& unit : other)
        if (unit->kv && dynamic_cast<answer_unit*>(unit.get())) return;
    const auto unit = q.front();
    fail_owner(*unit,
               {ec::exhausted,
                "KV cache: expected room for " +
                    std::to_string(unit->capacity) + " tokens (" +
                    std::to_string(pool.bytes_for(unit->capacity)) +
                    " bytes), found a budget of " +
                    std::to_string(pool.budget_bytes()) + " bytes"});
  }

  bool step() {
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

  // --- requests -----------------------------------------------------------

  result<void> check_tokens(std::span<const token_id> tokens,
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

  std::int64_t longest() const {
    return std::min(options.max_context, model->config().max_positions);
  }

  result<void> check_delta(const delta_ref& delta) const {
    if (!delta) return {};
    const svf_layout own{model->config(), delta->layout().targets()};
    if (own.total() != delta->layout().total())
      return error{ec::incompatible,
                   "singular delta: expected one for this base with " +
                       std::to_string(own.total()) + " entries, found " +
                       std::to_string(delta->layout().total())};
    return {};
  }
};

engine::engine(std::shared_ptr<language_model> model, engine_options options)
    : state_(std::make_unique<state>(std::move(model), std::move(options))) {}
engine::~engine() = default;

language_model& engine::model() { return *state_->model; }
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
  unit->request = std::move(request);
  s.of(unit->urgency).push_back(unit);
  return unit->owner;
}

result<sequence_id> engine::score(std::vector<scoring_row> rows,
                                  scores_callback on_scores, priority urgency,
                                  std::size_t shared_prefix) {
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
    key = prefix_key(rows.front(), shared_prefix);
    const auto at = std::ranges::find(s.prefixes, key, &state::kept_prefix::key);
    if (at != s.prefixes.end()) {
      prefix = at->unit;
      s.prefixes.splice(s.prefixes.begin(), s.prefixes, at);
    }
  }
  const bool known = prefix != nullptr;
  for (auto& unit : plan_scoring(std::move(rows), request, urgency,
                                 shared_prefix, prefix))
    s.of(urgency).push_back(std::move(unit));
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
  out.kv_bytes_used = state_->pool.bytes_used();
  out.dense_bytes_used = state_->model->network().dense().bytes();
  out.dense_builds = state_->model->network().dense().builds();
  return out;
}

}  // namespace t2
