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
#include "config/durable_file.hpp"
#include "demo/story_texts.hpp"
#include "tools/mixture_text.hpp"
#include "tools/runtime_access.hpp"

namespace t2 {
namespace {

using clock = std::chrono::steady_clock;
constexpr std::array expert_names{"dialogue", "list", "refrain"};
constexpr std::size_t shots = 5;
constexpr const char* task = "call";
constexpr const char* control = "call-shuffled";  // an expert

std::string format(const char* pattern, auto... values) {
  char line[256];
  std::snprintf(line, sizeof line, pattern, values...);
  return line;
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
          &story::register_tasks, &story::adapt, &story::measure,
          &story::answer_stream, &story::second_run})
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
         "the story model (260,000 parameters) is loaded, the store is open");
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
    step("import", "three experts are in the store: dialogue, list, refrain");
    return {};
  }

  result<void> register_tasks() {
    ordered_json examples = ordered_json::array();
    for (const auto& text : demo::documents(demo::kind::call,
                                            demo::split::examples, shots))
      examples.push_back({{"prompt", ""}, {"answer", text}});
    if (!api().get(std::string{"/v1/tasks/"} + task)) {
      const auto added =
          api().post("/v1/tasks", {{"name", task},
                                   {"reward", "logprob"},
                                   {"description", "talk with a refrain"},
                                   {"examples", examples}});
      if (!added) return added.error();
    }
    step("task", "a task of a kind that no expert was grown on, by 5 examples:");
    tell_("             " + examples[0]["answer"].get<std::string>());
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

  /// Mean log-likelihood per token of each held-out document, in nats.
  result<std::vector<double>> likelihoods(const std::string& target) {
    const auto texts = demo::documents(demo::kind::call, demo::split::held_out,
                                       settings_.held_out);
    return each<double>(texts.size(), [&](std::size_t i) -> result<double> {
      const auto scored = api().post(
          "/v1/completions",
          {{"model", target}, {"prompt", ""}, {"reference", texts[i]}});
      if (!scored) return scored.error();
      return scored->at("t2").at("log_probability").get<double>() /
             scored->at("usage").at("completion_tokens").get<double>();
    });
  }

  /// Four clients that share `count` requests.
  template <class T>
  result<std::vector<T>> each(std::size_t count,
                              const std::function<result<T>(std::size_t)>& f) {
    std::vector<T> out(count);
    std::atomic<std::size_t> next{0};
    std::mutex mutex;
    std::optional<error> failure;
    std::vector<std::jthread> clients;
    for (int c = 0; c < 4; ++c)
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

  result<void> measure() {
    std::vector<std::vector<double>> found;
    for (const auto& target : {std::string{"base"}, std::string{task},
                               std::string{"expert:"} + control}) {
      auto one = likelihoods(target);
      if (!one) return one.error();
      found.push_back(*std::move(one));
    }
    step("measure", format("log-likelihood per token of %zu documents that "
                           "nobody has seen:",
                           settings_.held_out));
    const auto mean = [](const std::vector<double>& values) {
      double sum = 0;
      for (const double v : values) sum += v;
      return sum / static_cast<double>(values.size());
    };
    tell_(format("             base      %8.4f", mean(found[0])));
    const char* const names[] = {"", "adapted", "shuffled"};
    for (std::size_t k : {1u, 2u}) {
      std::vector<double> gains;
      for (std::size_t i = 0; i < found[0].size(); ++i)
        gains.push_back(found[k][i] - found[0][i]);
      const auto gain = interval_of(gains);
      figures_[names[k]] = {{"gain", gain.mean},
                            {"low", gain.low},
                            {"high", gain.high},
                            {"above_zero", gain.low > 0}};
      tell_(format("             %-9s %8.4f   gain %+.4f, 95 %% interval "
                   "[%+.4f, %+.4f]%s",
                   names[k], mean(found[k]), gain.mean, gain.low, gain.high,
                   gain.low > 0 ? "" : ": none"));
    }
    figures_["base_log_likelihood"] = mean(found[0]);
    return {};
  }

  result<void> answer_stream() {
    const auto texts = demo::documents(demo::kind::call, demo::split::held_out,
                                       settings_.queries);
    std::atomic<std::int64_t> tokens{0}, ready{0};
    std::string sample;
    const auto begin = clock::now();
    const auto latencies = each<double>(
        texts.size(), [&](std::size_t i) -> result<double> {
          const auto sent = clock::now();
          const auto answer = api().post(
              "/v1/completions",
              {{"model", task},
               {"prompt", texts[i].substr(0, texts[i].find('?') + 2)},
               {"max_tokens", 48}});
          if (!answer) return answer.error();
          tokens +=
              answer->at("usage").at("completion_tokens").get<std::int64_t>();
          ready += answer->at("t2").value("cached", false);
          if (i == 0)
            sample = texts[i].substr(0, texts[i].find('?') + 2) + " ->" +
                     answer->at("choices")[0].value("text", "");
          return std::chrono::duration<double>(clock::now() - sent).count();
        });
    if (!latencies) return latencies.error();
    const double seconds =
        std::chrono::duration<double>(clock::now() - begin).count();
    auto sorted = *latencies;
    std::ranges::sort(sorted);
    const auto percentile = [&](double p) {
      return sorted.empty() ? 0.0
                            : 1e3 * sorted[static_cast<std::size_t>(
                                        p * static_cast<double>(
                                                sorted.size() - 1))];
    };
    figures_["stream"] = {{"queries", sorted.size()},
                          {"tokens_per_second",
                           static_cast<double>(tokens) / seconds},
                          {"p50_ms", percentile(0.5)},
                          {"p95_ms", percentile(0.95)},
                          {"mixture_ready", ready.load()}};
    step("stream",
         format("a stream of %zu queries under the mixture: %.0f tokens/s, "
                "p50 %.0f ms, p95 %.0f ms; it was ready for %lld of them",
                sorted.size(), static_cast<double>(tokens) / seconds,
                percentile(0.5), percentile(0.95),
                static_cast<long long>(ready)));
    std::ranges::replace(sample, '\n', ' ');
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
