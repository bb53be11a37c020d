#include "adaptation/rollout_round.hpp"

#include <chrono>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

#include "adaptation/label_classifier.hpp"
#include "adaptation/leak_guard.hpp"
#include "adaptation/prompt_form.hpp"
#include "adaptation/prompting.hpp"
#include "engine/answer.hpp"
#include "model/language_model.hpp"

namespace t2 {
namespace {

using namespace std::chrono_literals;

result<std::string> text_of(const language_model& model, const rollout& r) {
  answer text{model.text(), {}};
  if (auto ok = text.begin_after(std::span{r.tokens}.first(r.answer_begin)); !ok)
    return ok.error();
  std::string out;
  for (auto i = r.answer_begin; i + (r.ended ? 1 : 0) < r.tokens.size(); ++i) {
    auto piece = text.push(r.tokens[i]);
    if (!piece) return piece.error();
    out += piece->text;
  }
  auto rest = text.finish();
  if (!rest) return rest.error();
  return out + *rest;
}

result<void> check_label(const label_classifier& pass_1,
                         const std::string& answer) {
  std::string names;
  for (const query_label& label : pass_1.labels()) {
    if (label.name == answer) return {};
    names += (names.empty() ? "" : ", ") + label.name;
  }
  return error{ec::invalid_argument, "answer: expected a label of " + names +
                                         ", found '" + answer + "'"};
}

// Neighbours with one judge are handed over together. Runs on its own thread.
result<std::vector<double>> judge(const std::vector<const question*>& asked,
                                  const std::vector<std::string>& answers,
                                  const std::stop_token& stop) {
  std::map<const reward*, std::vector<std::size_t>> of_judge;
  for (std::size_t i = 0; i < asked.size(); ++i)
    of_judge[asked[i]->judge.get()].push_back(i);
  std::vector<double> rewards(asked.size());
  for (const auto& [by, places] : of_judge) {
    std::vector<judged_text> texts;
    for (const auto i : places)
      texts.push_back({answers[i], &asked[i]->source});
    const auto found = by->of_texts(texts, stop);
    for (std::size_t i = 0; i < places.size(); ++i) {
      if (!found[i]) return found[i].error();
      if (std::isnan(*found[i]))
        return error{ec::invalid_argument,
                     "example " + asked[places[i]]->source.id + ": reward " +
                         std::string{by->name()} +
                         ": expected one that judges a text"};
      rewards[places[i]] = *found[i];
    }
  }
  return rewards;
}

}  // namespace

result<std::vector<question>> make_questions(
    std::shared_ptr<const language_model> model, std::vector<example> examples,
    const training_spec& spec, const reward_options& options) {
  std::optional<label_classifier> pass_1;
  if (spec.classify) {
    std::vector<query_label> labels;
    for (const std::string& text : spec.labels)
      labels.push_back(parse_label(text));
    auto made = label_classifier::make(model, std::move(labels));
    if (!made) return made.error();
    pass_1 = *std::move(made);
  }
  std::map<std::string, std::shared_ptr<const reward>> judges;
  std::vector<question> questions;
  for (example& e : examples) {
    const std::string where = "example " + e.id;
    if (pass_1) {
      if (auto fine = check_label(*pass_1, e.answer); !fine)
        return error{fine.error().code, where + ": " + fine.error().message};
      e.reward = "exact";
    }
    const std::string& name = e.reward.empty() ? spec.reward : e.reward;
    if (name.empty())
      return error{ec::invalid_argument,
                   where + ": expected a reward, in its line or for all, "
                           "found none"};
    auto& judge = judges[name];
    if (!judge) {
      auto made = make_reward(name, options);
      if (!made) return made.error();
      judge = *std::move(made);
    }
    if (auto fine = judge->check(e); !fine)
      return error{fine.error().code, where + ": " + fine.error().message};
    if (judge->evidence(e) == reward_evidence::reference_likelihood)
      return error{ec::invalid_argument,
                   where + ": reward " + name +
                       ": expected one that judges a text"};
    const auto form =
        form_of_example(spec.form, model->chat().has_value(), e);
    const example asked = asked_as(form, e);
    const bool chats = !pass_1 && asked.messages.size() != e.messages.size();
    auto prompt =
        pass_1 ? pass_1->prompt({.prompt = e.prompt, .messages = e.messages})
               : prompt_tokens(*model, asked.prompt, asked.messages);
    if (!prompt) return prompt.error();
    if (static_cast<std::int64_t>(prompt->size()) > spec.max_tokens)
      return error{ec::exhausted,
                   where + ": expected a prompt of at most " +
                       std::to_string(spec.max_tokens) + " tokens, found " +
                       std::to_string(prompt->size())};
    questions.push_back({std::move(e), *std::move(prompt), judge, chats});
  }
  return questions;
}

question_set::question_set(std::span<const question> questions) {
  std::vector<std::uint64_t> hashes;
  for (const question& q : questions) {
    examples_.push_back({&q.source, q.judge.get()});
    hashes.push_back(prompt_hash(q.source));
  }
  prompts_ = prompt_groups{hashes};
  constants_ = constant_answers::of(examples_, prompts_);
}

answer_report question_set::report(std::span<const std::string> answers,
                                   std::span<const double> rewards) const {
  std::vector<judged_answer> said;
  for (std::size_t i = 0; i < answers.size(); ++i)
    said.push_back({answers[i], rewards[i]});
  return answer_report::of(examples_, said, prompts_, constants_);
}

result<rollout_round> rollout_round::make(const language_model& model,
                                          std::vector<const question*> asked,
                                          sampling_options sampling,
                                          std::uint64_t stream) {
  std::vector<rollout_request> requests;
  for (const auto* q : asked) requests.push_back({q->prompt, stream++});
  auto batch =
      rollout_batch::make(model, std::move(requests), std::move(sampling));
  if (!batch) return batch.error();
  return rollout_round{*std::move(batch), std::move(asked)};
}

// A judge that is at work is told to stop, and awaited.
rollout_round::~rollout_round() {
  stop_.request_stop();
  if (judging_.valid()) judging_.wait();
}

result<void> rollout_round::begin_judging(const language_model& model) {
  std::vector<std::string> answers;
  for (const auto& r : batch_.rollouts()) {
    auto text = text_of(model, r);
    if (!text) return text.error();
    answers.push_back(*std::move(text));
  }
  answers_ =
      std::make_shared<const std::vector<std::string>>(std::move(answers));
  judging_ = std::async(
      std::launch::async,
      [asked = asked_, texts = answers_, stop = stop_.get_token()] {
        return judge(asked, *texts, stop);
      });
  return {};
}

result<bool> rollout_round::advance(
    language_model& model, const adapted_weights* weights) {
  if (!judging_.valid()) {
    const auto more = batch_.advance(model, weights);
    if (!more || *more) return more;
    if (auto begun = begin_judging(model); !begun) return begun.error();
    return true;
  }
  if (judging_.wait_for(3ms) != std::future_status::ready) return true;
  auto judged = judging_.get();
  if (!judged) return judged.error();
  rewards_ = *std::move(judged);
  return false;
}

}  // namespace t2
