#include "tools/demo_run.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <iterator>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "adaptation/expert_control.hpp"
#include "adaptation/paired_interval.hpp"
#include "adaptation/reward.hpp"
#include "config/durable_file.hpp"
#include "tools/mixture_text.hpp"
#include "tools/percentile.hpp"
#include "tools/replay_summary.hpp"
#include "tools/routed.hpp"
#include "tools/runtime_access.hpp"

namespace t2 {
namespace {

using clock = std::chrono::steady_clock;
constexpr int clients_at_once = 16;

std::string format(const char* pattern, auto... values) {
  char line[256];
  std::snprintf(line, sizeof line, pattern, values...);
  return line;
}

constexpr std::uint64_t shuffling_seed = 79;

/// The words of an example, as a line of the story shows them.
std::string words_of(const example& e) {
  return e.messages.empty() ? e.prompt : e.messages.back().content;
}

/// A question as a chat asks it.
std::vector<chat_message> conversation(const example& e) {
  if (!e.messages.empty()) return e.messages;
  return {{"user", e.prompt}};
}

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

std::string one_line(std::string text) {
  std::ranges::replace(text, '\n', ' ');
  return text;
}

class telling {
 public:
  telling(const demo_settings& settings, const interrupt& signals,
          const std::function<void(const std::string&)>& tell)
      : settings_(settings),
        story_(settings.story),
        control_(story_.task + "-shuffled"),
        signals_(signals),
        tell_(tell) {}

  result<ordered_json> run() {
    // Each step leaves at the first error.
    for (const auto step :
         {&telling::open, &telling::greet, &telling::decompose,
          &telling::import_experts, &telling::measure_experts,
          &telling::route_queries, &telling::register_task, &telling::adapt,
          &telling::measure_task, &telling::answer_stream,
          &telling::second_run})
      if (auto ok = (this->*step)(); !ok) return ok.error();
    return figures_;
  }

 private:
  const api_client& api() const { return runtime_->api(); }

  /// Prints a step with its cost, counted since the last one.
  void step(const char* key, const std::string& what) {
    const auto now = clock::now();
    const double seconds = std::chrono::duration<double>(now - since_).count();
    since_ = now;
    figures_["seconds"][key] = seconds;
    tell_(format("%7.2f s  ", seconds) + what);
  }

  result<void> open() {
    auto runtime = runtime_access::open(settings_.options, signals_, [](auto&) {});
    if (!runtime) return runtime.error();
    runtime_ = *std::move(runtime);
    if (auto ready = runtime_->wait_until_ready(); !ready) return ready;
    step(figures_.contains("seconds") ? "open_again" : "open",
         story_.opening);
    return {};
  }

  result<void> greet() {
    if (story_.greeting.empty()) return {};
    const auto answer = api().post(
        "/v1/chat/completions",
        {{"model", "base"},
         {"messages", {{{"role", "user"}, {"content", story_.greeting}}}},
         {"max_tokens", 40}});
    if (!answer) return answer.error();
    step("greet", "it answers:");
    tell_("             " + story_.greeting + " -> " +
          one_line(answer->at("choices")[0].at("message").value("content", "")));
    return {};
  }

  result<void> decompose() {
    const auto done = api().follow("/v1/svd", {{"targets", story_.targets}}, [](auto&) {});
    if (!done) return done.error();
    step("decompose", "weights are decomposed: W = U diag(s) V^T");
    return {};
  }

  result<void> upload(const std::string& name, const std::string& file) {
    const auto path = "/v1/experts/" + name;
    if (api().get(path)) return {};  // of an earlier run in this folder
    const auto sent = api().upload(path + "/file", file);
    return sent ? result<void>{} : sent.error();
  }

  result<void> import_experts() {
    std::string names;
    for (const demo_expert& one : story_.experts) {
      constexpr std::size_t most_bytes = std::size_t{16} << 20;
      const auto file = read_file(one.file, most_bytes);
      if (!file) return file.error();
      if (auto ok = upload(one.name, *file); !ok) return ok;
      files_.push_back(*file);
      names += (names.empty() ? "" : ", ") + one.name;
      if (!one.grown_on.empty()) names += " (" + one.grown_on + ")";
    }
    step("import", "experts that were grown before are in the store: " + names);
    return {};
  }

  /// 1 for each question that is answered right, else 0. `before`: turns that
  /// stand in front of each.
  result<std::vector<double>> right_answers(
      const std::string& target, const demo_questions& questions,
      const std::vector<chat_message>& before = {}) {
    const auto judge = make_reward(questions.reward);
    if (!judge) return judge.error();
    auto texts = each<std::string>(
        questions.asked.size(), [&](std::size_t i) -> result<std::string> {
          const auto answer =
              api().post("/v1/chat/completions",
                         body_of(target, questions.asked[i], before));
          if (!answer) return answer.error();
          return answer->at("choices")[0].at("message").value("content", "");
        });
    if (!texts) return texts.error();
    std::vector<judged_text> judged;
    for (std::size_t i = 0; i < texts->size(); ++i)
      judged.push_back({(*texts)[i], &questions.asked[i]});
    std::vector<double> right;
    for (const auto& one : (*judge)->of_texts(judged)) {
      if (!one) return one.error();
      right.push_back(*one > 0 ? 1 : 0);
    }
    return right;
  }

  ordered_json body_of(const std::string& target, const example& asked,
                       const std::vector<chat_message>& before = {}) const {
    ordered_json messages = ordered_json::array();
    const auto add = [&](const chat_message& turn) {
      messages.push_back(ordered_json{{"role", turn.role},
                                      {"content", turn.content}});
    };
    std::ranges::for_each(before, add);
    std::ranges::for_each(conversation(asked), add);
    return {{"model", target},
            {"messages", std::move(messages)},
            {"max_tokens", story_.answer_tokens}};
  }

  /// Says how much better `target` answers than the base did, in points.
  result<void> compare(const std::string& name, const std::string& target,
                       const demo_questions& asked,
                       const std::vector<double>& of_base,
                       ordered_json& figures,
                       const std::vector<chat_message>& before = {}) {
    const auto found = right_answers(target, asked, before);
    if (!found) return found.error();
    std::vector<double> gains;
    for (std::size_t i = 0; i < of_base.size(); ++i)
      gains.push_back((*found)[i] - of_base[i]);
    const auto gain = interval_of(gains);
    figures[name] = {{"accuracy", mean(*found)},
                     {"base_accuracy", mean(of_base)},
                     {"gain", gain.mean},
                     {"low", gain.low},
                     {"high", gain.high},
                     {"above_zero", gain.low > 0}};
    tell_(format("             %-18s base %5.1f %%, now %5.1f %%: %+.1f points, "
                 "95 %% interval [%+.1f, %+.1f]",
                 name.c_str(), 100 * mean(of_base), 100 * mean(*found),
                 100 * gain.mean, 100 * gain.low, 100 * gain.high));
    return {};
  }

  result<void> measure_experts() {
    tell_("           right answers to questions of each kind that no expert "
          "has seen:");
    for (const demo_expert& one : story_.experts) {
      if (one.unseen.asked.empty()) continue;
      auto of_base = right_answers("base", one.unseen);
      if (!of_base && of_base.error().code == ec::unavailable) {
        tell_("             " + one.name + ": left out, " +
              of_base.error().message);
        continue;
      }
      if (!of_base) return of_base.error();
      if (auto ok = compare(one.name, "expert:" + one.name, one.unseen,
                            *of_base, figures_["experts"]);
          !ok)
        return ok;
    }
    step("experts", "an expert brings out what the base half knew");
    return {};
  }

  /// Pass 1: queries that name no task find their expert.
  result<void> route_queries() {
    if (story_.routed.empty()) return {};
    const auto route = routed(api(), "auto", story_.stranger);
    if (!route) return route.error();
    confusion_matrix said;
    for (const auto& [prompt, label] : story_.routed) {
      const auto one = routed(api(), "auto", prompt);
      if (!one) return one.error();
      // No two of these ask the same.
      said.add(label, one->value("label", std::string{"none"}), said.total());
    }
    figures_["routing"] = said.form();
    figures_["routed"] = *route;
    step("route",
         format("queries without a task find their expert: %.0f %% of %zu are "
                "put into the right class",
                100 * figures_["routing"]["accuracy"].get<double>(),
                story_.routed.size()));
    tell_("             " + one_line(story_.stranger) + " -> " +
          route->value("reason", std::string{}) + " (" +
          number_text(route->at("confidence")) + ")");
    return {};
  }

  result<void> register_task() {
    ordered_json examples = ordered_json::array();
    for (const example& shot : story_.shots) {
      examples.push_back(ordered_json(to_json(to_line(shot))));
      examples.back().erase("reward");
    }
    if (!api().get("/v1/tasks/" + story_.task)) {
      const auto added = api().post(
          "/v1/tasks", {{"name", story_.task},
                        {"reward", story_.others.reward},
                        {"description", story_.about},
                        {"examples", examples}});
      if (!added) return added.error();
    }
    step("task", format("a task that no expert was grown on, by %zu examples: ",
                        story_.shots.size()) +
                     story_.about);
    tell_("             " + one_line(words_of(story_.shots[0])) + " -> " +
          one_line(story_.shots[0].answer));
    return {};
  }

  result<ordered_json> search() {
    ordered_json names = ordered_json::array();
    for (const demo_expert& one : story_.experts) names.push_back(one.name);
    return api().follow("/v1/tasks/" + story_.task + "/adapt",
                        {{"experts", names}}, [](auto&) {});
  }

  result<void> adapt() {
    const auto found = search();
    if (!found) return found.error();
    figures_["adaptation"] = *found;
    step("adapt", std::string{found->value("reused", false)
                                  ? "from the store: "
                                  : "a search over mixtures of them: "} +
                      outcome_text(*found) + ", " +
                      mixture_text(found->at("mixture")));
    return add_control(found->at("mixture"));
  }

  /// The mixture that was found, as an expert whose z are shuffled.
  result<void> add_control(const ordered_json& mixture) {
    std::vector<weighted_file> parts;
    for (const auto& one : mixture.at("components"))
      for (std::size_t i = 0; i < story_.experts.size(); ++i)
        if (one.at("expert") == story_.experts[i].name)
          parts.push_back({files_[i], one.at("alpha")[0].get<float>()});
    if (parts.empty()) parts.push_back({files_[0], 1});
    const auto file = shuffled_blend(parts, shuffling_seed);
    if (!file) return file.error();
    if (auto ok = upload(control_, *file); !ok) return ok;
    step("control", "as a control, the same mixture with its z shuffled");
    return {};
  }

  /// Clients that share `count` requests.
  template <class T>
  result<std::vector<T>> each(std::size_t count,
                              const std::function<result<T>(std::size_t)>& f) {
    std::vector<T> out(count);
    std::atomic<std::size_t> next{0};
    std::mutex mutex;
    std::optional<error> failure;
    std::vector<std::jthread> clients;
    for (int c = 0; c < clients_at_once; ++c)
      clients.emplace_back([&] {
        for (std::size_t i; (i = next++) < count;) {
          auto one = f(i);
          const std::lock_guard lock{mutex};
          if (failure) return;
          if (!one) {
            failure = one.error();
            return;
          }
          out[i] = *std::move(one);
        }
      });
    clients.clear();
    if (failure) return *failure;
    return out;
  }

  result<void> measure_task() {
    const demo_questions& asked = story_.others;
    const auto of_base = right_answers("base", asked);
    if (!of_base) return of_base.error();
    ordered_json& figures = figures_["task"];
    if (story_.tries_prompting) {
      std::vector<chat_message> before;
      for (const example& shot : story_.shots) {
        std::ranges::copy(conversation(shot), std::back_inserter(before));
        before.push_back({"assistant", shot.answer});
      }
      if (auto ok = compare("examples in prompt", "base", asked, *of_base,
                            figures, before);
          !ok)
        return ok;
    }
    for (const auto& [name, target] :
         {std::pair<std::string, std::string>{"adapted", story_.task},
          {"shuffled", "expert:" + control_}})
      if (auto ok = compare(name, target, asked, *of_base, figures); !ok)
        return ok;
    step("measure",
         format("measured on %zu other questions of the task",
                asked.asked.size()));
    return {};
  }

  result<void> answer_stream() {
    const auto& others = story_.others.asked;
    const auto asked =
        std::span(others).first(std::min(settings_.queries, others.size()));
    std::atomic<std::int64_t> tokens{0}, ready{0};
    std::string sample;
    const auto begin = clock::now();
    auto latencies = each<double>(
        asked.size(), [&](std::size_t i) -> result<double> {
          const auto sent = clock::now();
          const auto answer =
              api().post("/v1/chat/completions", body_of(story_.task, asked[i]));
          if (!answer) return answer.error();
          tokens +=
              answer->at("usage").at("completion_tokens").get<std::int64_t>();
          ready += answer->at("t2").value("cached", false);
          if (i == 0)
            sample = one_line(
                words_of(asked[i]) + " -> " +
                answer->at("choices")[0].at("message").value("content", ""));
          return std::chrono::duration<double>(clock::now() - sent).count();
        });
    if (!latencies) return latencies.error();
    const double seconds =
        std::chrono::duration<double>(clock::now() - begin).count();
    const double p50 = 1e3 * percentile(*latencies, 0.5);
    const double p95 = 1e3 * percentile(*latencies, 0.95);
    const double rate = static_cast<double>(tokens) / seconds;
    figures_["stream"] = {{"queries", asked.size()},
                          {"tokens_per_second", rate},
                          {"p50_ms", p50},
                          {"p95_ms", p95},
                          {"mixture_ready", ready.load()}};
    step("stream",
         format("a stream of %zu queries under the mixture: %.0f tokens/s, "
                "p50 %.0f ms, p95 %.0f ms; it was ready for %lld of them",
                asked.size(), rate, p50, p95, static_cast<long long>(ready)));
    tell_("             " + sample);
    return {};
  }

  result<void> second_run() {
    runtime_.reset();
    step("close", "everything is stopped");
    if (auto ok = open(); !ok) return ok;
    const auto found = search();
    if (!found) return found.error();
    const bool reused = found->value("reused", false);
    figures_["second_run"] = *found;
    step("adapt_again",
         reused ? "the second run adapts nothing: the mixture is in the store"
                : "the second run searched again");
    runtime_.reset();
    return {};
  }

  const demo_settings& settings_;
  const demo_story& story_;
  const std::string control_;  // an expert
  const interrupt& signals_;
  const std::function<void(const std::string&)>& tell_;
  std::unique_ptr<runtime_access> runtime_;
  std::vector<std::string> files_;  // of the experts
  clock::time_point since_ = clock::now();
  ordered_json figures_;
};

}  // namespace

result<ordered_json> run_demo(
    const demo_settings& settings, const interrupt& signals,
    const std::function<void(const std::string&)>& tell) {
  return telling{settings, signals, tell}.run();
}

}  // namespace t2
