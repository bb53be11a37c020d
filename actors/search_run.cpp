#include "actors/search_run.hpp"

#include <chrono>
#include <utility>

#include "actors/seen_plan.hpp"
#include "adaptation/reward.hpp"

namespace t2 {
namespace {

// How long the engine's thread waits for another before it goes on with what
// else there is.
constexpr std::chrono::milliseconds patience{5};

}  // namespace

template <class T>
bool search_run::is_ready(const std::future<T>& work) {
  if (work.wait_for(patience) == std::future_status::ready) return true;
  waited_ = waited_.load() + patience;
  return false;
}

steady_time search_run::spent() const {
  return steady_time{given_() + waited_.load()};
}

bool search_run::prepare(const std::shared_ptr<const language_model>& model,
                         const std::shared_ptr<const expert_pool>& pool) {
  if (!encoding_.valid())
    encoding_ = std::async(std::launch::async,
                           [this, model] { return encode(*model); });
  if (!is_ready(encoding_)) return true;
  auto shots = encoding_.get();
  const auto started =
      shots ? start(*std::move(shots), pool) : result<void>{shots.error()};
  if (started) {
    work_ = search_->next();
  } else {
    work_ = started.error();
  }
  return false;
}

auto search_run::encode(const language_model& model) const
    -> result<judged_shots> {
  const auto judge = make_reward(plan_->task.reward, rewards_);
  if (!judge) return judge.error();
  std::vector<example> examples;
  for (const store_example& record : plan_->task.examples) {
    auto e = from_record(record);
    if (!e) return e.error();
    examples.push_back(std::move(*e));
  }
  const auto form = parse_prompt_form(plan_->task.form);
  if (!form) return form.error();
  auto shots = make_shots(model, examples, **judge, *form);
  if (!shots) return shots.error();
  return judged_shots{*judge, *std::move(shots)};
}

result<void> search_run::start(judged_shots shots,
                               std::shared_ptr<const expert_pool> pool) {
  auto search =
      few_shot_search::make(std::move(pool), std::move(shots.second),
                            std::move(shots.first), plan_->search,
                            [this] { return spent(); });
  if (!search) return search.error();
  search_ = std::move(*search);
  return {};
}

bool search_run::advance() {
  if (still_judging()) return true;
  if (const auto told = tell(); !told) {
    work_ = told.error();
    return false;
  }
  work_ = search_->next();
  return false;
}

void search_run::expire() {
  stop_judging_.request_stop();
  if (judging_.valid()) judging_.get();
  scores_ = nullptr;
  answers_ = nullptr;
  if (!search_) {
    work_ = error{ec::cancelled, "the search was stopped before it began"};
    return;
  }
  search_->expire();
  work_ = search_->next();
}

bool search_run::still_judging() {
  if (!answers_ || !search_->judge().slow()) return false;
  if (!judging_.valid()) {
    auto texts = search_->to_judge(*answers_);
    if (!texts) return false;  // tell() says so too
    judging_ = std::async(
        std::launch::async,
        [judge = &search_->judge(), texts = *std::move(texts),
         stop = stop_judging_.get_token()] {
          return judge->of_texts(texts, stop);
        });
  }
  return !is_ready(judging_);
}

result<void> search_run::tell() {
  if (const auto scores = std::exchange(scores_, nullptr)) {
    return search_->tell(*scores);
  }
  if (const auto answers = std::exchange(answers_, nullptr)) {
    if (judging_.valid()) return search_->tell(*answers, judging_.get());
    return search_->tell(*answers);
  }
  return {};
}

few_shot_progress search_run::progress() const {
  return search_ ? search_->progress() : few_shot_progress{};
}

result<store_adaptation> search_run::outcome(const std::string& base) const {
  if (!work_) return work_.error();
  const auto found = search_->outcome();
  if (!found) return found.error();
  store_adaptation record;
  record.task_id = plan_->task.id;
  record.key = plan_->key;
  record.base = base;
  record.mixture_json = to_json(found->found);
  record.accepted = found->accepted;
  record.truncated = found->truncated;
  record.scores_json = with_seen_prompts(found->scores, plan_->task.examples);
  record.cost_json = found->cost;
  for (const mixture_component& part : found->found.components) {
    record.used.push_back({part.expert, part.version});
  }
  return record;
}

}  // namespace t2
