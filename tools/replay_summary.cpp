#include "tools/replay_summary.hpp"

#include <sstream>

#include "config/duration.hpp"
#include "config/table.hpp"
#include "tools/mixture_text.hpp"
#include "tools/percentile.hpp"

namespace t2 {
namespace {

std::string time_text(const ordered_json& seconds) {
  return approximate_duration(
      std::chrono::duration<double>(seconds.get<double>()));
}

}  // namespace

void replay_summary::add_answer(const ordered_json& line) {
  ++answered_;
  if (line.value("cached", false)) ++cached_;
  prompt_tokens_ += line.value("prompt_tokens", std::int64_t{0});
  answer_tokens_ += line.value("completion_tokens", std::int64_t{0});
  seconds_.push_back(line.value("seconds", 0.0));
  if (line.contains("first_token_seconds") &&
      line["first_token_seconds"].is_number()) {
    first_token_seconds_.push_back(line["first_token_seconds"]);
  }
  add_score(line);
}

void replay_summary::add_earlier(const ordered_json& line) {
  ++earlier_;
  add_score(line);
}

void replay_summary::add_score(const ordered_json& line) {
  const auto value = line.find("score");
  if (value == line.end() || !value->is_number()) return;
  auto& of_reward = scores_[line.value("reward", "")];
  of_reward.sum += value->get<double>();
  of_reward.right += value->get<double>() > 0 ? 1 : 0;
  ++of_reward.count;
}

ordered_json replay_summary::form(double seconds) const {
  const auto rate = [&](std::int64_t count) {
    return seconds > 0 ? static_cast<double>(count) / seconds : 0.0;
  };
  ordered_json scores = ordered_json::object();
  for (const auto& [reward, of_reward] : scores_) {
    const auto count = static_cast<double>(of_reward.count);
    scores[reward] = {{"mean", of_reward.sum / count},
                      {"right", of_reward.right},
                      {"count", of_reward.count}};
  }
  return {{"answered", answered_},
          {"answered_before", earlier_},
          {"failed", failed_},
          {"seconds", seconds},
          {"queries_per_second", rate(answered_)},
          {"tokens_per_second", rate(answer_tokens_)},
          {"prompt_tokens", prompt_tokens_},
          {"completion_tokens", answer_tokens_},
          {"latency_seconds",
           {{"p50", percentile(seconds_, 0.5)},
            {"p95", percentile(seconds_, 0.95)}}},
          {"first_token_seconds",
           {{"p50", percentile(first_token_seconds_, 0.5)},
            {"p95", percentile(first_token_seconds_, 0.95)}}},
          {"cache_hits", cached_},
          {"scores", std::move(scores)}};
}

std::string print_summary(const ordered_json& summary) {
  table rows({{""}, {""}});
  const auto count = [&](const char* name) {
    return std::to_string(summary.value(name, std::int64_t{0}));
  };
  const auto times = [&](const char* name) {
    return "p50 " + time_text(summary.at(name).at("p50")) + ", p95 " +
           time_text(summary.at(name).at("p95"));
  };
  rows.add_row({"answered", count("answered") + " now, " +
                                count("answered_before") + " before, " +
                                count("failed") + " failed"});
  rows.add_row({"time", time_text(summary.at("seconds"))});
  rows.add_row(
      {"throughput", number_text(summary.at("tokens_per_second")) + " tok/s, " +
                         number_text(summary.at("queries_per_second")) +
                         " queries/s"});
  rows.add_row({"tokens", count("prompt_tokens") + " read, " +
                              count("completion_tokens") + " written"});
  rows.add_row({"latency", times("latency_seconds")});
  rows.add_row({"first token", times("first_token_seconds")});
  rows.add_row({"cache hits", count("cache_hits")});
  if (summary.contains("adaptations")) {
    const auto& adaptations = summary.at("adaptations");
    rows.add_row(
        {"adaptations",
         std::to_string(adaptations.value("computed", 0)) + " computed, " +
             std::to_string(adaptations.value("reused", 0)) + " reused"});
  }
  for (const auto& [reward, score] : summary.at("scores").items()) {
    rows.add_row({"score (" + reward + ")",
                  number_text(score.at("mean")) + " mean, " +
                      std::to_string(score.value("right", 0)) + " of " +
                      std::to_string(score.value("count", 0)) + " right"});
  }
  return rows.print();
}

}  // namespace t2
