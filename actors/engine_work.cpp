#include "actors/engine_work.hpp"

#include <exception>
#include <span>
#include <utility>

#include "actors/common_errors.hpp"
#include "actors/expert_pool_job.hpp"
#include "actors/token_report.hpp"
#include "adaptation/prompting.hpp"
#include "config/first_line.hpp"
#include "model/language_model.hpp"
#include "text/detokenizer.hpp"

namespace t2 {
namespace {

error wordless(const language_model& model) {
  return {ec::invalid_argument,
          model.name() + ": expected a tokenizer.json, found none"};
}

/// The ids of the question, however it was given.
result<std::vector<token_id>> ids_of(const language_model& model,
                                     const query& question) {
  if (!question.prompt_ids.empty()) return question.prompt_ids;
  return prompt_tokens(model, question.prompt, question.messages,
                       question.template_variables);
}

/// Biased tokens must be some of the model's.
result<void> check_bias(const language_model& model,
                        const sampling_options& sampling) {
  const std::int64_t vocabulary = model.config().vocabulary;
  for (const auto& [token, bias] : sampling.logit_bias)
    if (token >= vocabulary)
      return error{ec::invalid_argument,
                   "logit_bias: expected token ids below " +
                       std::to_string(vocabulary) + ", found " +
                       std::to_string(token)};
  return {};
}

/// The words of the prompt, which may have come as ids: then short of a
/// character that they leave to the answer to finish.
result<std::string> words_of(const language_model& model,
                             const query& question) {
  if (question.prompt_ids.empty()) return question.prompt;
  return detokenizer{model.text()}.tell_and_begin_after(question.prompt_ids);
}

/// A question, or one with the reference that is to be weighed, as tokens.
result<scoring_row> row_of(const language_model& model,
                           const answer_request& request) {
  const query& question = request.question;
  if (!question.reference) {
    auto prompt = ids_of(model, question);
    if (!prompt) return prompt.error();
    return scoring_row{.tokens = *std::move(prompt),
                       .answer_begin = 1,
                       .delta = nullptr};
  }
  const auto asked =
      question.prompt_ids.empty()
          ? question_of(model, question.prompt, question.messages,
                        question.template_variables)
          : question_of(model, question.prompt_ids);
  if (!asked) return asked.error();
  return scoring_row_of(model, *asked, *question.reference, false,
                        request.delta);
}

/// The same on a thread that nothing may be thrown out of.
result<scoring_row> read(const language_model& model,
                         const answer_request& request) {
  try {
    return row_of(model, request);
  } catch (const std::exception& e) {
    return error{ec::internal,
                 "reading the text failed: " + first_line(e.what())};
  }
}

/// Runs a job and keeps what it throws.
class guarded_job : public engine_job {
 public:
  explicit guarded_job(engine_job_ref job) : job_(std::move(job)) {}

  bool advance(language_model& model) override {
    try {
      return job_->advance(model);
    } catch (const std::exception& e) {
      outcome = error{ec::internal, "a job failed: " + first_line(e.what())};
      return false;
    }
  }

  result<void> outcome;

 private:
  engine_job_ref job_;
};

/// Gathers the answers of a batch in order.
struct gathering {
  std::vector<search_answer> answers;
  std::size_t missing = 0;
};

/// Turns the events of one answer into parts.
class part_stream {
 public:
  part_stream(const answer_request& request, const language_model& model)
      : sink_(request.sink),
        route_(request.route),
        fingerprint_(model.fingerprint()) {
    if (request.question.report_tokens) report_.emplace(model.text());
  }

  /// The ids that the answer stands behind. Before on().
  result<void> begin_after(std::span<const token_id> prompt) {
    return report_ ? report_->begin_after(prompt) : result<void>{};
  }

  /// What goes before the answer.
  void open(std::string text) {
    answer_part part;
    part.text = std::move(text);
    send(std::move(part));
  }

  /// The outcome, once there is one.
  std::optional<result<answer_part>> on(const generation_event& event) {
    for (const sampled_token& token : event.tokens) {
      log_probability_ += token.log_probability;
    }
    if (event.failure) return result<answer_part>(*event.failure);
    std::vector<answer_token> tokens;
    if (report_) {
      auto told = report_->on(event);
      if (!told) return result<answer_part>(told.error());
      tokens = *std::move(told);
    }
    if (!event.text.empty() || !tokens.empty()) {
      answer_part part = counted(event);
      part.text = event.text;
      part.tokens = std::move(tokens);
      send(std::move(part));
    }
    if (!event.finished) return std::nullopt;
    if (*event.finished == finish_reason::cancelled) {
      return result<answer_part>(cancelled_error());
    }
    if (*event.finished == finish_reason::deadline) {
      return result<answer_part>(late_error());
    }
    answer_part last = counted(event);
    last.finish_reason = std::string(to_string(*event.finished));
    send(last);
    last.route = route_;
    last.fingerprint = fingerprint_;
    return result<answer_part>(std::move(last));
  }

 private:
  answer_part counted(const generation_event& event) const {
    answer_part part;
    part.prompt_tokens = event.prompt_tokens;
    part.answer_tokens = event.answer_tokens;
    part.log_probability = log_probability_;
    return part;
  }

  void send(answer_part part) {
    if (std::exchange(first_, false)) {
      part.route = route_;
      part.fingerprint = fingerprint_;
    }
    sink_->part(std::move(part));
  }

  answer_sink_ref sink_;
  routing route_;
  std::string fingerprint_;
  std::optional<token_report> report_;
  bool first_ = true;
  double log_probability_ = 0;
};

}  // namespace

struct engine_work::mixing {
  ticket id = 0;
  mixture recipe;
  expert_pool_job pool;
  answer_to<ready_mixture> done;

  result<ready_mixture> outcome() const {
    const auto& built = pool.outcome();
    if (!built) return built.error();
    const auto delta = (*built)->compose(recipe);
    if (!delta) return delta.error();
    const std::int64_t entries = *delta ? (*delta)->layout().total() : 0;
    return ready_mixture{
        *delta, entries * static_cast<std::int64_t>(sizeof(float))};
  }
};

template <class T>
std::optional<engine_work::answer_to<T>> engine_work::begin(
    ticket t, answer_to<T> done) {
  if (items_.contains(t)) {
    done(error{ec::internal, "ticket " + std::to_string(t) + " is in use"});
    return std::nullopt;
  }
  items_[t].fail = [done](const error& failure) { done(failure); };
  // cancel() and fail_all() take the item away and tell: what the engine says
  // afterwards comes too late.
  return [this, t, done](result<T> outcome) {
    const auto ended = items_.extract(t);
    if (ended.empty()) return;
    if (!outcome) {
      const auto& left = ended.mapped().sequences;
      left_over_.insert(left_over_.end(), left.begin(), left.end());
    }
    done(std::move(outcome));
  };
}

void engine_work::on_read(std::function<void()> notify) {
  inbox_->notify = std::move(notify);
}

void engine_work::answer(engine& on, ticket t,
                         const answer_request_ref& request,
                         answer_to<answer_part> done) {
  const auto finish = begin(t, std::move(done));
  if (!finish) return;
  items_[t].reading = request;
  items_[t].finish = *finish;
  texts_.read(t, request->flow.caller,
              [to = inbox_, model = on.shared_model(),
               now = on.options().now, t, request] {
                read_text text{t, request, late_error()};
                if (!request->deadline || *request->deadline > now())
                  text.row = read(*model, *request);
                const std::lock_guard lock(to->mutex);
                to->texts.push_back(std::move(text));
                to->notify();
              });
}

void engine_work::open_answers(engine& on) {
  std::vector<read_text> read;
  {
    const std::lock_guard lock(inbox_->mutex);
    read.swap(inbox_->texts);
  }
  for (auto& [t, request, row] : read) {
    const auto at = items_.find(t);
    // Cancelled meanwhile; the ticket may be another's by now.
    if (at == items_.end() || at->second.reading != request) continue;
    at->second.reading = nullptr;
    const auto finish = std::exchange(at->second.finish, nullptr);
    if (!row) {
      finish(row.error());
    } else if (request->deadline && *request->deadline <= on.options().now()) {
      finish(late_error());
    } else if (request->question.reference) {
      weigh(on, t, *request, *std::move(row), finish);
    } else {
      open(on, t, *request, std::move(row->tokens), finish);
    }
  }
}

void engine_work::open(engine& on, ticket t, const answer_request& request,
                       std::vector<token_id> prompt,
                       const answer_to<answer_part>& finish) {
  const query& question = request.question;
  if (const auto fits = check_bias(on.model(), question.sampling); !fits)
    return finish(fits.error());
  if ((question.report_tokens || question.echo) && !on.model().text()) {
    return finish(wordless(on.model()));
  }
  auto stream = std::make_shared<part_stream>(request, on.model());
  sampling_options sampling = question.sampling;
  sampling.answer_begin = prompt.size();
  if (const auto begun = stream->begin_after(prompt); !begun)
    return finish(begun.error());
  const auto sequence = on.submit(
      {.prompt = std::move(prompt),
       .sampling = std::move(sampling),
       .delta = request.delta,
       .urgency = priority::live,
       .deadline = request.deadline,
       .stream = question.stream,
       .flow = request.flow,
       .cache_scope = request.cache_scope,
       .on_event = [stream, finish](const generation_event& event) {
         if (auto outcome = stream->on(event)) finish(std::move(*outcome));
       }});
  if (!sequence) return finish(sequence.error());
  items_[t].sequences = {*sequence};
  if (!question.echo) return;
  auto words = words_of(on.model(), question);
  if (words) return stream->open(*std::move(words));
  finish(words.error());
  drop_left_over(on);
}

void engine_work::weigh(engine& on, ticket t, const answer_request& request,
                        scoring_row row,
                        const answer_to<answer_part>& finish) {
  answer_part last;
  last.route = request.route;
  last.fingerprint = on.model().fingerprint();
  last.finish_reason = "scored";
  last.prompt_tokens = static_cast<std::int64_t>(row.answer_begin);
  last.answer_tokens =
      static_cast<std::int64_t>(row.tokens.size()) - last.prompt_tokens;
  const auto id = on.score(
      {std::move(row)},
      [last, finish](result<std::vector<row_score>> scores) mutable {
        if (!scores) return finish(scores.error());
        last.log_probability = scores->front().sum();
        finish(std::move(last));
      },
      priority::live, 0, request.flow);
  if (!id) return finish(id.error());
  items_[t].sequences = {*id};
}

void engine_work::score(engine& on, ticket t, const scoring_request& request,
                        answer_to<row_scores_ref> done) {
  const auto finish = begin(t, std::move(done));
  if (!finish) return;
  const auto id = on.score(
      request.rows,
      [finish](result<std::vector<row_score>> scores) {
        if (!scores) return (*finish)(scores.error());
        (*finish)(std::make_shared<const std::vector<row_score>>(
            std::move(*scores)));
      },
      request.urgency, request.shared_prefix, request.flow);
  if (!id) return (*finish)(id.error());
  own(t, *id);
}

void engine_work::generate(engine& on, ticket t,
                           const std::vector<generation_request>& batch,
                           answer_to<search_answers_ref> done) {
  const auto finish = begin(t, std::move(done));
  if (!finish) return;
  auto gathered = std::make_shared<gathering>();
  gathered->answers.resize(batch.size());
  gathered->missing = batch.size();
  for (std::size_t i = 0; i < batch.size(); ++i) {
    generation_request request = batch[i];
    request.urgency = priority::background;
    request.on_event = [gathered, finish, i](const generation_event& event) {
      search_answer& answer = gathered->answers[i];
      answer.text += event.text;
      answer.tokens = event.answer_tokens;
      if (event.failure) return (*finish)(*event.failure);
      if (!event.finished) return;
      if (*event.finished == finish_reason::cancelled) {
        return (*finish)(cancelled_error());
      }
      if (--gathered->missing > 0) return;
      (*finish)(std::make_shared<const std::vector<search_answer>>(
          std::move(gathered->answers)));
    };
    const auto sequence = on.submit(std::move(request));
    if (!sequence) {
      (*finish)(sequence.error());
      return drop_left_over(on);
    }
    own(t, *sequence);
  }
  if (batch.empty()) {
    (*finish)(std::make_shared<const std::vector<search_answer>>());
  }
}

void engine_work::run(engine& on, ticket t, engine_job_ref job,
                      answer_to<bool> done) {
  const auto finish = begin(t, std::move(done));
  if (!finish) return;
  auto guarded = std::make_shared<guarded_job>(std::move(job));
  own(t, on.run(guarded, [guarded, finish] {
    if (!guarded->outcome) return (*finish)(guarded->outcome.error());
    (*finish)(true);
  }));
}

void engine_work::mix(ticket t, mixing_request_ref request,
                      answer_to<ready_mixture> done) {
  const auto finish = begin(t, std::move(done));
  if (!finish) return;
  mixings_.push_back(std::make_shared<mixing>(mixing{
      t, request->recipe, expert_pool_job(request->versions), *finish}));
}

bool engine_work::advance_mixing(language_model& model) {
  if (mixings_.empty()) return false;
  const auto current = mixings_.front();
  result<ready_mixture> outcome = cancelled_error();
  try {
    if (current->pool.advance(model)) return true;
    outcome = current->outcome();
  } catch (const std::exception& e) {
    outcome =
        error{ec::internal, "making a mixture failed: " + first_line(e.what())};
  }
  mixings_.pop_front();
  current->done(std::move(outcome));
  return true;
}

void engine_work::drop_left_over(engine& on) {
  for (const sequence_id id : std::exchange(left_over_, {})) on.cancel(id);
  std::erase_if(owners_,
                [&](const auto& one) { return !items_.contains(one.second); });
}

std::optional<ticket> engine_work::ticket_of(sequence_id id) const {
  const auto at = owners_.find(id);
  return at == owners_.end() ? std::nullopt : std::optional(at->second);
}

void engine_work::own(ticket t, sequence_id id) {
  items_[t].sequences.push_back(id);
  owners_[id] = t;
}

void engine_work::cancel(engine& on, ticket t) {
  const auto ended = items_.extract(t);
  if (ended.empty()) return;
  std::erase_if(mixings_, [&](const auto& m) { return m->id == t; });
  texts_.cancel(t);
  ended.mapped().fail(cancelled_error());
  for (const sequence_id id : ended.mapped().sequences) on.cancel(id);
}

void engine_work::fail_all(const error& failure) {
  const auto items = std::exchange(items_, {});
  mixings_.clear();
  texts_.clear();
  for (const auto& [t, ended] : items) ended.fail(failure);
}

}  // namespace t2
