#include "tools/evaluation.hpp"

#include <optional>

#include "adaptation/leak_guard.hpp"
#include "adaptation/paired_interval.hpp"
#include "adaptation/reward.hpp"
#include "config/durable_file.hpp"
#include "config/sha256.hpp"
#include "http/router.hpp"
#include "tools/replay_run.hpp"
#include "tools/routed.hpp"

namespace t2 {
namespace {

constexpr std::size_t most_file_bytes = std::size_t{512} << 20;

ordered_json form_of(const paired_interval& interval) {
  return {{"mean", interval.mean},
          {"low", interval.low},
          {"high", interval.high}};
}

/// What judges a line's answer.
std::string reward_of(const task_line& line,
                      const evaluation_settings& settings) {
  return settings.reward.empty() ? line.reward.value_or("") : settings.reward;
}

/// What answers a target now, as text: answers of another version of an expert,
/// or of another mixture of a task, are other answers. Pass 1 has no one mixture.
result<std::string> mixture_behind(const api_client& api,
                                   const std::string& target) {
  if (target == "auto" || target.starts_with("auto:")) return std::string{};
  const auto route = routed(api, target, "?");
  if (!route) return route.error();
  return dump_json(route->at("mixture"));
}

}  // namespace

result<test_set> read_test_set(const std::string& file, std::int64_t limit) {
  const auto bytes = read_file(file, most_file_bytes);
  if (!bytes) return bytes.error();
  auto lines = read_task_file(file);
  if (!lines) return lines.error();
  test_set out{.lines = *std::move(lines),
               .examples = {},
               .prompts = {},
               .sha256 = sha256_hex(*bytes)};
  if (limit > 0 && static_cast<std::size_t>(limit) < out.lines.size())
    out.lines.resize(static_cast<std::size_t>(limit));
  for (const task_line& line : out.lines) {
    auto e = from_line(line, file + ": '" + line.id + "'");
    if (!e) return e.error();
    out.examples.push_back(*std::move(e));
  }
  out.prompts = prompt_groups::of(out.examples);
  return out;
}

result<void> refuse_what_was_seen(const api_client& api,
                                  const std::string& target,
                                  const test_set& set, bool allow_unrecorded) {
  const auto owners = api.get("/v1/seen?model=" + encode_url(target));
  if (!owners) return owners.error();
  for (const auto& one : owners->at("data")) {
    const std::string owner = one.value("owner", "");
    if (!one.at("prompts").is_string()) {
      if (allow_unrecorded) continue;
      return error{ec::incompatible,
                   "evaluation: expected to know which prompts " + owner +
                       " has seen, found no record of it "
                       "(--allow-unrecorded measures all the same)"};
    }
    const auto seen =
        seen_prompts::parse(one.at("prompts").get<std::string>());
    if (!seen)
      return error{ec::corrupt,
                   "the server: expected hashes of prompts from " + owner};
    if (auto fine = refuse_seen(set.examples, *seen, owner); !fine)
      return fine.error();
  }
  return {};
}

result<answers_by_target> answers_of(
    const api_client& api, const interrupt& signals, const test_set& set,
    const std::vector<std::string>& targets,
    const evaluation_settings& settings, answer_log* log,
    const std::function<void(std::size_t)>& on_done) {
  if (log != nullptr)
    for (const auto& [key, line] : log->lines())
      if (!line.contains("target"))
        return error{ec::incompatible,
                     "--out: expected the answers of an evaluation, found "
                     "those of a replay: give another file"};
  std::vector<replay_query> queries;
  answers_by_target answers;
  std::map<std::string, std::size_t> place;  // by id
  for (std::size_t i = 0; i < set.lines.size(); ++i)
    place[set.lines[i].id] = i;
  for (const auto& target : targets) {
    answers[target].resize(set.lines.size());
    const auto behind = log ? mixture_behind(api, target)
                            : result<std::string>{std::string{}};
    if (!behind) return behind.error();
    for (const auto& line : set.lines) {
      auto query = make_query(
          line, target, settings.sampling, reward_of(line, settings),
          settings.form ? settings.form(line) : prompt_form::raw);
      if (!query) return query.error();
      if (log != nullptr) {
        query->target = target;
        query->digest = sha256_hex(query->digest + "\n" + *behind);
      }
      queries.push_back(*std::move(query));
    }
  }
  std::optional<error> unjudged;
  replay_run run(
      api, signals, settings.rewards, log,
      [&](const replay_query& query, const ordered_json& line) {
        if (!line.contains("score") || !line["score"].is_number()) {
          if (!unjudged)
            unjudged =
                error{ec::invalid_argument,
                      "'" + query.id +
                          "': expected a reward that judges a text, found '" +
                          query.reward + "'"};
          return;
        }
        answers[query.body.at("model")][place.at(query.id)] = {
            line.at("answer"), line.at("score")};
      });
  const std::size_t all = queries.size();
  const auto pending = run.pending(std::move(queries));
  if (!pending) return pending.error();
  const std::size_t before = all - pending->size();
  const auto ended =
      run.ask_all(*pending, settings.concurrency,
                  [&](std::size_t done) { on_done(before + done); });
  if (!ended) return ended.error();
  if (run.first_failure()) return *run.first_failure();
  if (unjudged) return *unjudged;
  return answers;
}

result<answer_report> report_on(const test_set& set,
                                const evaluation_settings& settings,
                                const std::vector<judged_answer>& of) {
  std::map<std::string, std::shared_ptr<const reward>> judges;
  std::vector<judged_example> examples;
  for (std::size_t i = 0; i < set.lines.size(); ++i) {
    const std::string name = reward_of(set.lines[i], settings);
    auto& judge = judges[name];
    if (!judge) {
      auto made = make_reward(name, settings.rewards);
      if (!made) return made.error();
      judge = *std::move(made);
    }
    examples.push_back({&set.examples[i], judge.get()});
  }
  return answer_report::of(examples, of, set.prompts,
                           constant_answers::of(examples, set.prompts));
}

std::vector<double> right_of(const std::vector<judged_answer>& answers) {
  std::vector<double> right;
  for (const judged_answer& one : answers) right.push_back(one.right() ? 1 : 0);
  return right;
}

ordered_json accuracy_form(const std::vector<double>& right,
                           const prompt_groups& prompts) {
  const paired_interval found = interval_of(prompts.means(right));
  return {{"count", right.size()},
          {"prompts", prompts.size()},
          {"accuracy", found.mean},
          {"interval", {found.low, found.high}}};
}

ordered_json gain_form(const std::vector<double>& right,
                       const std::vector<double>& right_of_other,
                       const prompt_groups& prompts) {
  std::vector<double> gains;
  for (std::size_t i = 0; i < right.size(); ++i)
    gains.push_back(right[i] - right_of_other[i]);
  return form_of(interval_of(prompts.means(gains)));
}

}  // namespace t2
