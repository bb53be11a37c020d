#include "tools/demo_run.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "adaptation/expert_control.hpp"
#include "adaptation/paired_interval.hpp"
#include "adaptation/reward.hpp"
#include "config/durable_file.hpp"
#include "demo/corpus.hpp"
#include "tools/mixture_text.hpp"
#include "tools/percentile.hpp"
#include "tools/replay_summary.hpp"
#include "tools/routed.hpp"
#include "tools/runtime_access.hpp"

namespace t2 {
namespace {

using clock = std::chrono::steady_clock;
constexpr std::array expert_names{"math", "code", "reasoning"};
constexpr std::array grown_on{demo::family::math, demo::family::code,
                              demo::family::reasoning};
constexpr demo::family relative = demo::family::math_hard;
constexpr std::size_t shots = 5;
constexpr const char* task = "math-hard";
constexpr const char* control = "math-hard-shuffled";  // an expert
constexpr int clients_at_once = 16;
constexpr std::size_t routed_queries = 100;
constexpr std::int64_t answer_tokens = 96;

std::string format(const char* pattern, auto... values) {
  char line[256];
  std::snprintf(line, sizeof line, pattern, values...);
  return line;
}

struct questions {
  std::vector<demo::problem> problems;
  std::vector<example> examples;
  std::shared_ptr<const reward> judge;
};

/// The first of a family's test questions, with what judges their answers.
result<questions> test_questions(demo::family f, std::size_t count) {
  questions out;
  out.problems = demo::problems(f, demo::portion::test, count);
  for (std::size_t i = 0; i < out.problems.size(); ++i) {
    auto parsed = parse_examples(
        demo::example_line(f, demo::portion::test, i + 1, out.problems[i]),
        "demo");
    if (!parsed) return parsed.error();
    out.examples.push_back(parsed->front());
  }
  auto judge = make_reward(demo::reward_of(f));
  if (!judge) return judge.error();
  out.judge = *std::move(judge);
  return out;
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

class story {
 public:
  story(const demo_settings& settings, const interrupt& signals,
        const std::function<void(const std::string&)>& tell)
      : settings_(settings), signals_(signals), tell_(tell) {}

  result<ordered_json> run() {
    // Each step leaves at the first error.
    for (const auto step :
         {&story::open, &story::decompose, &story::import_experts,
          &story::measure_experts, &story::route_queries, &story::register_task,
          &story::adapt, &story::measure_task, &story::answer_stream,
          &story::second_run})
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
         "a small model is loaded that has read careful and careless writers");
    return {};
  }

  result<void> decompose() {
    const auto done = api().follow("/v1/svd", {{"targets", "all"}}, [](auto&) {});
    if (!done) return done.error();
    step("decompose", "every projection is decomposed: W = U diag(s) V^T");
    return {};
  }

  result<void> upload(const std::string& name, const std::string& file) {
    const auto path = "/v1/experts/" + name;
    if (api().get(path)) return {};  // of an earlier run in this folder
    const auto sent = api().upload(path + "/file", file);
    return sent ? result<void>{} : sent.error();
  }

  result<void> import_experts() {
    for (const std::string name : expert_names) {
      const auto path = settings_.experts / (name + ".safetensors");
      const auto file = read_file(path, std::size_t{16} << 20);
      if (!file) return file.error();
      if (auto ok = upload(name, *file); !ok) return ok;
      files_.push_back(*file);
    }
    step("import",
         "three experts, grown by reinforcement, are in the store: math, code, "
         "reasoning");
    return {};
  }

  /// 1 for each question that is answered right, else 0.
  result<std::vector<double>> right_answers(const std::string& target,
                                            const questions& asked) {
    auto texts = each<std::string>(
        asked.problems.size(), [&](std::size_t i) -> result<std::string> {
          const auto answer = api().post("/v1/chat/completions",
                                         body_of(target, asked.problems[i]));
          if (!answer) return answer.error();
          return answer->at("choices")[0].at("message").value("content", "");
        });
    if (!texts) return texts.error();
    std::vector<judged_text> judged;
    for (std::size_t i = 0; i < texts->size(); ++i)
      judged.push_back({(*texts)[i], &asked.examples[i]});
    std::vector<double> right;
    for (const auto& one : asked.judge->of_texts(judged)) {
      if (!one) return one.error();
      right.push_back(*one > 0 ? 1 : 0);
    }
    return right;
  }

  static ordered_json body_of(const std::string& target,
                              const demo::problem& asked) {
    return {{"model", target},
            {"messages", {{{"role", "user"}, {"content", asked.prompt}}}},
            {"max_tokens", answer_tokens}};
  }

  /// Says how much better `target` answers than the base did, in points.
  result<void> compare(const std::string& name, const std::string& target,
                       const questions& asked,
                       const std::vector<double>& of_base,
                       ordered_json& figures) {
    const auto found = right_answers(target, asked);
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
    tell_(format("           right answers to %zu questions of each kind that "
                 "no expert has seen:",
                 settings_.questions));
    for (std::size_t i = 0; i < expert_names.size(); ++i) {
      const auto asked = test_questions(grown_on[i], settings_.questions);
      if (!asked) return asked.error();
      const std::string name = expert_names[i];
      auto of_base = right_answers("base", *asked);
      if (!of_base && of_base.error().code == ec::unavailable) {
        tell_("             " + name + ": left out, " +
              of_base.error().message);
        continue;
      }
      if (!of_base) return of_base.error();
      if (auto ok = compare(name, "expert:" + name, *asked, *of_base,
                            figures_["experts"]);
          !ok)
        return ok;
    }
    step("experts", "each expert has brought out what the base half knew");
    return {};
  }

  /// Pass 1: queries that name no task find their expert.
  result<void> route_queries() {
    const auto unknown =
        demo::problems(demo::family::code_doc, demo::portion::test, 1).front();
    const auto route = routed(api(), "auto", unknown.prompt);
    if (!route) return route.error();
    const auto queries =
        demo::labelled_queries(demo::portion::test, routed_queries);
    confusion_matrix said;
    for (const auto& query : queries) {
      const auto one = routed(api(), "auto", query.prompt);
      if (!one) return one.error();
      // No two of these ask the same.
      said.add(query.label, one->value("label", std::string{"none"}),
               said.total());
    }
    figures_["routing"] = said.form();
    figures_["routed"] = *route;
    step("route",
         format("queries without a task find their expert: %.0f %% of %zu are "
                "put into the right class",
                100 * figures_["routing"]["accuracy"].get<double>(),
                queries.size()));
    tell_("             " + one_line(unknown.prompt) + " -> " +
          route->value("reason", std::string{}) + " (" +
          number_text(route->at("confidence")) + ")");
    return {};
  }

  result<void> register_task() {
    const auto chosen =
        demo::problems(relative, demo::portion::train, shots);
    ordered_json examples = ordered_json::array();
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      examples.push_back(ordered_json::parse(demo::example_line(
          relative, demo::portion::train, i + 1, chosen[i])));
      examples.back().erase("reward");
    }
    if (!api().get(std::string{"/v1/tasks/"} + task)) {
      const auto added = api().post(
          "/v1/tasks", {{"name", task},
                        {"reward", demo::reward_of(relative)},
                        {"description", "differences and bare equations"},
                        {"examples", examples}});
      if (!added) return added.error();
    }
    step("task", "a task of a kind that no expert was grown on, by 5 examples:");
    tell_("             " + one_line(chosen[0].prompt) + " -> " +
          one_line(chosen[0].careful));
    return {};
  }

  result<ordered_json> search() {
    return api().follow(std::string{"/v1/tasks/"} + task + "/adapt",
                        {{"experts", expert_names}}, [](auto&) {});
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
      for (std::size_t i = 0; i < expert_names.size(); ++i)
        if (one.at("expert") == expert_names[i])
          parts.push_back({files_[i], one.at("alpha")[0].get<float>()});
    if (parts.empty()) parts.push_back({files_[0], 1});
    const auto file = shuffled_blend(parts, 79);
    if (!file) return file.error();
    if (auto ok = upload(control, *file); !ok) return ok;
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
    const auto asked = test_questions(relative, settings_.questions);
    if (!asked) return asked.error();
    const auto of_base = right_answers("base", *asked);
    if (!of_base) return of_base.error();
    for (const auto& [name, target] :
         {std::pair<std::string, std::string>{"adapted", task},
          {"shuffled", std::string{"expert:"} + control}})
      if (auto ok = compare(name, target, *asked, *of_base, figures_["task"]);
          !ok)
        return ok;
    step("measure",
         format("measured on %zu other questions of the task",
                asked->problems.size()));
    return {};
  }

  result<void> answer_stream() {
    const auto asked =
        demo::problems(relative, demo::portion::test, settings_.queries);
    std::atomic<std::int64_t> tokens{0}, ready{0};
    std::string sample;
    const auto begin = clock::now();
    auto latencies = each<double>(
        asked.size(), [&](std::size_t i) -> result<double> {
          const auto sent = clock::now();
          const auto answer =
              api().post("/v1/chat/completions", body_of(task, asked[i]));
          if (!answer) return answer.error();
          tokens +=
              answer->at("usage").at("completion_tokens").get<std::int64_t>();
          ready += answer->at("t2").value("cached", false);
          if (i == 0)
            sample = one_line(
                asked[i].prompt + " -> " +
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
  return story{settings, signals, tell}.run();
}

}  // namespace t2
