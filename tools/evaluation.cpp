#include "tools/evaluation.hpp"

#include <optional>

#include "adaptation/leak_guard.hpp"
#include "adaptation/paired_interval.hpp"
#include "config/durable_file.hpp"
#include "config/sha256.hpp"
#include "http/router.hpp"
#include "tools/replay_run.hpp"

namespace t2 {
namespace {

constexpr std::size_t most_file_bytes = std::size_t{512} << 20;

ordered_json form_of(const paired_interval& interval) {
  return {{"mean", interval.mean},
          {"low", interval.low},
          {"high", interval.high}};
}

}  // namespace

result<test_set> read_test_set(const std::string& file, std::int64_t limit) {
  const auto bytes = read_file(file, most_file_bytes);
  if (!bytes) return bytes.error();
  auto lines = read_task_file(file);
  if (!lines) return lines.error();
  test_set out{.lines = *std::move(lines),
               .examples = {},
               .sha256 = sha256_hex(*bytes)};
  if (limit > 0 && static_cast<std::size_t>(limit) < out.lines.size())
    out.lines.resize(static_cast<std::size_t>(limit));
  for (const task_line& line : out.lines) {
    auto e = from_line(line, file + ": '" + line.id + "'");
    if (!e) return e.error();
    out.examples.push_back(*std::move(e));
  }
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

result<rewards_by_target> rewards_of(
    const api_client& api, const interrupt& signals, const test_set& set,
    const std::vector<std::string>& targets,
    const evaluation_settings& settings,
    const std::function<void(std::size_t)>& on_done) {
  std::vector<replay_query> queries;
  rewards_by_target rewards;
  std::map<std::string, std::size_t> place;  // by id
  for (std::size_t i = 0; i < set.lines.size(); ++i)
    place[set.lines[i].id] = i;
  for (const auto& target : targets) {
    rewards[target].resize(set.lines.size());
    for (const auto& line : set.lines) {
      auto query = make_query(
          line, target, settings.sampling,
          settings.reward.empty() ? line.reward.value_or("")
                                  : settings.reward,
          settings.form ? settings.form(line) : prompt_form::raw);
      if (!query) return query.error();
      queries.push_back(*std::move(query));
    }
  }
  std::optional<error> unjudged;
  replay_run run(api, signals, settings.rewards, nullptr,
                 [&](const replay_query& query, const ordered_json& line) {
                   if (!line.contains("score") || !line["score"].is_number()) {
                     if (!unjudged)
                       unjudged = error{
                           ec::invalid_argument,
                           "'" + query.id + "': expected a reward that judges "
                           "a text, found '" + query.reward + "'"};
                     return;
                   }
                   rewards[query.body.at("model")][place.at(query.id)] =
                       line["score"];
                 });
  const auto ended = run.ask_all(queries, settings.concurrency, on_done);
  if (!ended) return ended.error();
  if (run.first_failure()) return *run.first_failure();
  if (unjudged) return *unjudged;
  return rewards;
}

std::vector<double> right_of(const std::vector<double>& rewards) {
  std::vector<double> right;
  for (const double r : rewards) right.push_back(r > 0 ? 1 : 0);
  return right;
}

ordered_json accuracy_form(const std::vector<double>& right) {
  const paired_interval found = interval_of(right);
  return {{"count", right.size()},
          {"accuracy", found.mean},
          {"interval", {found.low, found.high}}};
}

ordered_json gain_form(const std::vector<double>& right,
                       const std::vector<double>& right_of_other) {
  std::vector<double> gains;
  for (std::size_t i = 0; i < right.size(); ++i)
    gains.push_back(right[i] - right_of_other[i]);
  return form_of(interval_of(gains));
}

}  // namespace t2
