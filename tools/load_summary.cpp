#include "tools/load_summary.hpp"

#include <algorithm>
#include <array>
#include <numeric>

#include "config/table.hpp"
#include "tools/mixture_text.hpp"
#include "tools/percentile.hpp"

namespace t2 {
namespace {

constexpr std::array<std::pair<load_end, const char*>, 5> well_behaved{
    {{load_end::ok, "ok"},
     {load_end::busy, "busy"},
     {load_end::failed, "failed"},
     {load_end::incomplete, "incomplete"},
     {load_end::cancelled, "cancelled"}}};
constexpr std::array<std::pair<load_end, const char*>, 3> misbehaved{
    {{load_end::vanished, "vanished"},
     {load_end::half_request, "half_request"},
     {load_end::slow_reader, "slow_reader"}}};

std::int64_t count_of(const std::map<load_end, std::int64_t>& ends,
                      load_end end) {
  const auto found = ends.find(end);
  return found == ends.end() ? 0 : found->second;
}

std::string times_text(const ordered_json& times) {
  if (times.is_null()) return "-";
  std::string text;
  for (const char* name : {"p50", "p90", "p95", "p99", "max"}) {
    if (!text.empty()) text += ", ";
    text += std::string(name) + " " + number_text(times.at(name));
  }
  return text + " ms";
}

std::string counts_text(const ordered_json& counts) {
  std::string text;
  for (const auto& [name, count] : counts.items()) {
    if (!text.empty()) text += ", ";
    text += std::to_string(count.get<std::int64_t>()) + " " + name;
  }
  return text;
}

}  // namespace

ordered_json times_form(std::vector<double> seconds) {
  if (seconds.empty()) return nullptr;
  std::ranges::sort(seconds);
  const double sum = std::accumulate(seconds.begin(), seconds.end(), 0.0);
  const auto at = [&](double fraction) {
    return percentile_of_sorted(seconds, fraction) * 1000;
  };
  return {{"p50", at(0.5)},
          {"p90", at(0.9)},
          {"p95", at(0.95)},
          {"p99", at(0.99)},
          {"max", at(1)},
          {"mean", sum / static_cast<double>(seconds.size()) * 1000}};
}

void load_summary::tally::add(const load_outcome& outcome) {
  ++ends[outcome.end];
  if (outcome.end != load_end::ok) return;
  prompt_tokens += outcome.prompt_tokens;
  answer_tokens += outcome.answer_tokens;
  latency.push_back(outcome.latency);
  if (outcome.first_token) first_token.push_back(*outcome.first_token);
  gaps.insert(gaps.end(), outcome.gaps.begin(), outcome.gaps.end());
}

ordered_json load_summary::tally::form(double seconds) const {
  const auto rate = [&](std::int64_t count) {
    return seconds > 0 ? static_cast<double>(count) / seconds : 0.0;
  };
  ordered_json counts = ordered_json::object();
  for (const auto& [end, name] : well_behaved) {
    counts[name] = count_of(ends, end);
  }
  return {{"requests", std::move(counts)},
          {"prompt_tokens", prompt_tokens},
          {"output_tokens", answer_tokens},
          {"requests_per_second", rate(count_of(ends, load_end::ok))},
          {"prompt_tokens_per_second", rate(prompt_tokens)},
          {"output_tokens_per_second", rate(answer_tokens)},
          {"first_token_ms", times_form(first_token)},
          {"inter_token_ms", times_form(gaps)},
          {"latency_ms", times_form(latency)}};
}

void load_summary::add(const load_outcome& outcome) {
  all_.add(outcome);
  by_target_[outcome.target].add(outcome);
  if (outcome.problem && !problem_ &&
      (outcome.end == load_end::failed ||
       outcome.end == load_end::incomplete)) {
    problem_ = outcome.problem;
  }
  if (compare_ && outcome.end == load_end::ok) compare(outcome);
}

void load_summary::compare(const load_outcome& outcome) {
  const auto [known, fresh] =
      texts_.try_emplace({outcome.target, outcome.prompt}, outcome.text);
  if (fresh) return;
  ++compared_;
  if (known->second != outcome.text) ++divergent_;
}

ordered_json load_summary::form(double seconds) const {
  ordered_json form = {{"seconds", seconds}};
  form.update(all_.form(seconds));
  form["dropped"] = dropped_;
  for (const auto& [end, name] : misbehaved) {
    form["misbehaved"][name] = count_of(all_.ends, end);
  }
  if (compare_) {
    form["check"] = {{"compared", compared_}, {"divergent", divergent_}};
  }
  form["models"] = ordered_json::object();
  for (const auto& [target, of_target] : by_target_) {
    form["models"][target] = of_target.form(seconds);
  }
  form["first_problem"] =
      problem_ ? ordered_json(problem_->message) : ordered_json(nullptr);
  return form;
}

std::string print_load(const ordered_json& form) {
  const auto rate = [&](const char* name) {
    return number_text(form.at(name).get<double>());
  };
  table rows({{""}, {""}});
  rows.add_row({"requests", counts_text(form.at("requests"))});
  if (form.at("dropped") != 0) {
    rows.add_row({"dropped", std::to_string(form.at("dropped").get<int>()) +
                                 " due while too many were out"});
  }
  rows.add_row({"misbehaved", counts_text(form.at("misbehaved"))});
  rows.add_row({"throughput",
                rate("requests_per_second") + " requests/s, " +
                    rate("output_tokens_per_second") + " output tokens/s, " +
                    rate("prompt_tokens_per_second") + " prompt tokens/s"});
  rows.add_row({"first token", times_text(form.at("first_token_ms"))});
  rows.add_row({"inter-token", times_text(form.at("inter_token_ms"))});
  rows.add_row({"latency", times_text(form.at("latency_ms"))});
  if (form.contains("check")) {
    rows.add_row({"check", counts_text(form.at("check"))});
  }
  if (form.at("models").size() > 1) {
    for (const auto& [name, of] : form.at("models").items()) {
      rows.add_row({name, counts_text(of.at("requests")) + "; latency " +
                              times_text(of.at("latency_ms"))});
    }
  }
  if (form.at("first_problem").is_string()) {
    rows.add_row({"problem", form.at("first_problem").get<std::string>()});
  }
  return rows.print();
}

}  // namespace t2
