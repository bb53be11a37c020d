#include "tools/replay_run.hpp"

#include <chrono>
#include <cmath>
#include <thread>
#include <variant>

#include "adaptation/reward.hpp"
#include "config/sha256.hpp"

namespace t2 {
namespace {

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin)
      .count();
}

std::string new_text(const ordered_json& choice) {
  return choice.contains("delta") ? choice.at("delta").value("content", "")
                                  : choice.value("text", "");
}

/// The next query would fail in the same way.
bool is_fatal(const error& failure, const interrupt& signals) {
  return signals.signal() != 0 || failure.code == ec::io ||
         failure.code == ec::unavailable || failure.code == ec::cancelled;
}

bool judged_as(const replay_query& query, const ordered_json& line) {
  return line.value("reward", "") == query.reward && query.reference &&
         line.value("reference", "") == query.reference->answer;
}

}  // namespace

result<replay_query> make_query(const task_line& line,
                                const std::string& target, ordered_json body,
                                std::string reward, prompt_form form) {
  replay_query query{.id = line.id,
                     .path = {},
                     .body = std::move(body),
                     .digest = {},
                     .reward = std::move(reward),
                     .target = {},
                     .reference = {}};
  query.body["model"] = target;
  query.body["stream"] = true;
  query.body["stream_options"] = {{"include_usage", true}};
  const auto* prompt = std::get_if<std::string>(&line.prompt);
  if (prompt && (form == prompt_form::raw || prompt->empty())) {
    query.path = "/v1/completions";
    query.body["prompt"] = *prompt;
  } else {
    query.path = "/v1/chat/completions";
    query.body["messages"] =
        prompt ? ordered_json::array({{{"role", "user"}, {"content", *prompt}}})
               : ordered_json(to_json(line).at("messages"));
  }
  query.digest = sha256_hex(query.path + "\n" + dump_json(query.body));
  if (line.answer) {
    auto reference = from_line(line, "'" + line.id + "'");
    if (!reference) return reference.error();
    query.reference = *std::move(reference);
  }
  return query;
}

result<std::vector<replay_query>> replay_run::pending(
    std::vector<replay_query> all) {
  if (!log_) return all;
  std::vector<replay_query> left;
  for (auto& query : all) {
    const auto before =
        log_->lines().find(answer_log::key_of(query.id, query.target));
    if (before == log_->lines().end()) {
      left.push_back(std::move(query));
      continue;
    }
    if (before->second.value("query", "") != query.digest) {
      return error{ec::incompatible,
                   "'" + query.id +
                       "' was answered before with another "
                       "prompt, options or mixture: give another --out"};
    }
    if (!query.target.empty() && !judged_as(query, before->second)) {
      return error{ec::incompatible,
                   "'" + query.id +
                       "' was judged before by another reward or reference: "
                       "give another --out"};
    }
    summary_.add_earlier(before->second);
    if (on_line_) on_line_(query, before->second);
  }
  return left;
}

/// What the query's reward says of the answer; null where it cannot say.
result<ordered_json> replay_run::score_of(const replay_query& query,
                                          const std::string& answer) const {
  if (query.reward.empty() || !query.reference) return ordered_json(nullptr);
  const auto judge = make_reward(query.reward, rewards_);
  if (!judge) return judge.error();
  if (!(*judge)->check(*query.reference)) return ordered_json(nullptr);
  const auto value = (*judge)->of_text(answer, *query.reference);
  if (!value) return value.error();
  if (std::isnan(*value)) return ordered_json(nullptr);
  return ordered_json(*value);
}

result<ordered_json> replay_run::ask_once(const replay_query& query) const {
  const auto begin = std::chrono::steady_clock::now();
  std::string answer;
  ordered_json line = {{"id", query.id}, {"query", query.digest}};
  ordered_json first_token = nullptr;
  ordered_json route, usage, reason;
  const auto ended =
      api_.complete(query.path, query.body, [&](const ordered_json& chunk) {
        if (chunk.contains("t2") && chunk["t2"].contains("strategy")) {
          route = chunk["t2"];
        }
        if (chunk.contains("usage")) usage = chunk["usage"];
        if (chunk.at("choices").empty()) return;
        const auto& choice = chunk.at("choices").at(0);
        const std::string text = new_text(choice);
        if (!text.empty() && first_token.is_null()) {
          first_token = seconds_since(begin);
        }
        answer += text;
        if (choice.at("finish_reason").is_string()) {
          reason = choice.at("finish_reason");
        }
      });
  if (!ended) return ended.error();
  if (!query.target.empty()) line["target"] = query.target;
  line["answer"] = answer;
  if (!query.target.empty() && query.reference)
    line["reference"] = query.reference->answer;
  line["finish_reason"] = std::move(reason);
  line["prompt_tokens"] = usage.value("prompt_tokens", 0);
  line["completion_tokens"] = usage.value("completion_tokens", 0);
  line["seconds"] = seconds_since(begin);
  line["first_token_seconds"] = std::move(first_token);
  for (const char* name : {"strategy", "task", "label", "adaptation"}) {
    line[name] =
        route.is_object() ? route.value(name, ordered_json()) : ordered_json();
  }
  line["cached"] = route.is_object() && route.value("cached", false);
  if (!query.reward.empty()) {
    line["reward"] = query.reward;
    auto score = score_of(query, answer);
    if (!score) return score.error();
    line["score"] = *std::move(score);
    if (!query.target.empty() && line["score"].is_number())
      line["right"] = line["score"].get<double>() > 0;
  }
  return line;
}

/// A full queue is waited for.
result<ordered_json> replay_run::ask(const replay_query& query) const {
  for (int wait = 10;; wait = std::min(wait * 2, 1000)) {
    auto line = ask_once(query);
    if (line || line.error().code != ec::busy) return line;
    if (signals_.wait(wait)) return error{ec::cancelled, "interrupted"};
  }
}

void replay_run::keep(const replay_query& query,
                      const result<ordered_json>& line) {
  if (!line && is_fatal(line.error(), signals_)) {
    fatal_ = line.error();
  } else if (!line) {
    summary_.add_failure();
    if (!failure_) {
      failure_ = error{line.error().code,
                       "'" + query.id + "': " + line.error().message};
    }
  } else {
    summary_.add_answer(*line);
    if (on_line_) on_line_(query, *line);
    if (log_) {
      if (auto kept = log_->append(*line); !kept) fatal_ = kept.error();
    }
  }
  if (fatal_) stopped_ = true;
  ++done_;
}

result<void> replay_run::ask_all(
    const std::vector<replay_query>& queries, std::size_t threads,
    const std::function<void(std::size_t)>& on_done) {
  std::atomic<std::size_t> next = 0;
  const auto work = [&] {
    for (std::size_t i = next++; i < queries.size() && !stopped_; i = next++) {
      const auto line = ask(queries[i]);
      const std::lock_guard lock(mutex_);
      keep(queries[i], line);
      on_done(done_);
    }
  };
  {
    std::vector<std::jthread> workers;
    for (std::size_t i = 0; i < std::min(threads, queries.size()); ++i) {
      workers.emplace_back(work);
    }
  }
  if (log_) {
    if (auto synced = log_->sync(); !synced) return synced.error();
  }
  if (fatal_) return *fatal_;
  return {};
}

}  // namespace t2
