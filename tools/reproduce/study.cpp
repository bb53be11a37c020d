#include "tools/reproduce/study.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "adaptation/expert_control.hpp"
#include "config/durable_file.hpp"
#include "http/router.hpp"
#include "tools/routed.hpp"

namespace t2::reproduce {
namespace {

using demo::family;
using demo::portion;

constexpr std::int64_t answer_tokens = 96;
constexpr std::size_t five_shots = 5;
constexpr const char* classifier_name = "router";
constexpr std::size_t most_file_bytes = std::size_t{64} << 20;

std::string name_of(family f) { return std::string{demo::to_string(f)}; }

std::string seed_text(std::uint64_t seed) {
  return "/seed-" + std::to_string(seed);
}

/// The name of a recipe's expert; that of the experts searched later is the
/// family's, which is what pass 1 calls it.
std::string expert_name(family f, const std::string& recipe) {
  return recipe == expert_recipe ? name_of(f) : name_of(f) + "-" + recipe;
}

std::vector<std::string> family_names() {
  std::vector<std::string> out;
  for (const study_family& one : study_families())
    out.push_back(name_of(one.grown_on));
  return out;
}

/// "0110...": which questions were answered rightly.
std::string bits_of(const std::vector<judged_answer>& answers) {
  std::string out;
  for (const judged_answer& one : answers) out += one.right() ? '1' : '0';
  return out;
}

/// One runtime with the store of a seed, and what is done with it.
class workbench {
 public:
  workbench(const study_settings& settings, const study_data& data,
            std::uint64_t seed, const interrupt& signals, measurements& log)
      : settings_(settings),
        data_(data),
        seed_(seed),
        signals_(signals),
        log_(log),
        folder_(settings.work / ("seed-" + std::to_string(seed))) {}

  result<void> open() {
    std::error_code failed;
    std::filesystem::create_directories(folder_, failed);
    loaded_options options = settings_.options;
    options.values.store.path = (folder_ / "store.db").string();
    options.values.server.socket = (folder_ / "t2.sock").string();
    options.values.route.strategy = "auto";
    options.values.route.classifier = classifier_name;
    auto opened =
        runtime_access::open(options, signals_, [](auto&) {});
    if (!opened) return opened.error();
    runtime_ = *std::move(opened);
    return runtime_->wait_until_ready();
  }

  result<void> once(const std::string& id,
                    const std::function<result<ordered_json>()>& make) {
    if (log_.has(id)) return {};
    const auto begin = std::chrono::steady_clock::now();
    auto made = log_.once(id, make);
    if (!made) return error{made.error().code, id + ": " + made.error().message};
    char line[160];
    std::snprintf(line, sizeof line, "%7.1f s  %s",
                  std::chrono::duration<double>(
                      std::chrono::steady_clock::now() - begin)
                      .count(),
                  id.c_str());
    settings_.tell(line);
    return {};
  }

  /// A training, and its answers to the family's test and its relatives'.
  result<ordered_json> train(const study_family& on, const recipe& by) {
    const std::string name = expert_name(on.grown_on, by.name);
    ordered_json body{{"objective", by.objective},
                      {"method", by.method},
                      {"steps", settings_.extent.steps},
                      {"batch", 24},
                      {"validate_every", 10},
                      {"checkpoint_every", 10},
                      {"max_answer_tokens", answer_tokens},
                      {"seed", seed_},
                      {"checkpoint", (folder_ / (name + ".checkpoint")).string()}};
    if (by.objective == "reinforce") {
      body["samples"] = 4;
      body["kl_weight"] = 0.1;
    }
    if (by.method == "svf") {
      body["targets"] = by.targets;
      body["learning_rate"] = 0.02;
    } else {
      body["rank"] = 16;
      body["alpha"] = 32;
      body["learning_rate"] = 0.005;
      body["output"] = (folder_ / name).string();
    }
    std::vector<family> tested{on.grown_on};
    tested.insert(tested.end(), on.relatives.begin(), on.relatives.end());
    for (const family f : tested) {
      auto text = bytes_of(name_of(f), portion::test);
      if (!text) return text.error();
      body["tests"][name_of(f)] = *std::move(text);
    }
    return run_training(name, name_of(on.grown_on), std::move(body));
  }

  result<ordered_json> train_classifier() {
    ordered_json body{{"objective", "reinforce"},
                      {"classify", true},
                      {"steps", std::max<std::int64_t>(
                                    10, settings_.extent.steps * 3 / 4)},
                      {"batch", 24},
                      {"samples", 4},
                      {"kl_weight", 0.1},
                      {"learning_rate", 0.02},
                      {"max_answer_tokens", 4},
                      {"validate_every", 10},
                      {"seed", seed_}};
    return run_training(classifier_name, labels_name, std::move(body));
  }

  result<ordered_json> confusion(const std::string& strategy) {
    const std::string target = "auto:" + strategy;
    const auto& set = data_.labelled_test();
    if (auto fine = refuse_what_was_seen(api(), target, set, false); !fine)
      return fine.error();
    const auto matrix = classify_all(api(), signals_, target, set);
    if (!matrix) return matrix.error();
    return matrix->form();
  }

  /// Which of the test questions each target answers rightly.
  result<ordered_json> answers(family f,
                               const std::vector<std::string>& targets) {
    const test_set& set = data_.test_of(f);
    for (const auto& target : targets)
      if (auto fine = refuse_what_was_seen(api(), target, set, false); !fine)
        return fine.error();
    const auto said = answers_of(
        api(), signals_, set, targets,
        {.sampling = {{"max_tokens", answer_tokens}},
         .reward = {},
         .rewards = settings_.options.values.rewards,
         .concurrency = 32});
    if (!said) return said.error();
    ordered_json out = ordered_json::object();
    for (const auto& target : targets) out[target] = bits_of(said->at(target));
    return out;
  }

  /// Adapts a task of `shots` to a mixture of `experts`.
  result<ordered_json> adapt(const std::string& task, family f,
                             std::size_t draw, std::size_t shots,
                             const std::vector<std::string>& experts,
                             ordered_json options = ordered_json::object()) {
    if (!api().get("/v1/tasks/" + encode_url(task))) {
      const auto added =
          api().post("/v1/tasks", {{"name", task},
                                   {"reward", demo::reward_of(f)},
                                   {"examples", data_.shots_of(f, draw, shots)}});
      if (!added) return added.error();
    }
    options["experts"] = experts;
    options["seed"] = seed_;
    return api().follow("/v1/tasks/" + encode_url(task) + "/adapt", options,
                        [](auto&) {});
  }

  /// The same, and the answers to the test where a mixture was found.
  result<ordered_json> few_shot(const std::string& task, family f,
                                std::size_t shots,
                                ordered_json options = ordered_json::object()) {
    const auto found =
        adapt(task, f, seed_, shots, family_names(), std::move(options));
    if (!found) return found.error();
    ordered_json out{{"accepted", found->at("accepted")},
                     {"mixture", found->at("mixture")},
                     {"scores", found->at("scores")},
                     {"cost", found->at("cost")}};
    out["scores"].erase("seen_prompts");
    if (!found->at("accepted").get<bool>()) return out;
    auto answered = answers(f, {task});
    if (!answered) return answered.error();
    out["right"] = answered->at(task);
    return out;
  }

  result<std::string> file_of(const std::string& expert) {
    return api().download("/v1/experts/" + encode_url(expert) + "/file");
  }

  result<void> import(const std::string& name, const std::string& file) {
    if (api().get("/v1/experts/" + encode_url(name))) return {};
    const auto sent =
        api().upload("/v1/experts/" + encode_url(name) + "/file", file);
    return sent ? result<void>{} : sent.error();
  }

  /// A shuffled expert has learnt from what it was made of, and says nothing.
  result<std::string> answers_unrecorded(family f, const std::string& target) {
    const auto said =
        answers_of(api(), signals_, data_.test_of(f), {target},
                   {.sampling = {{"max_tokens", answer_tokens}},
                    .reward = {},
                    .rewards = settings_.options.values.rewards,
                    .concurrency = 32});
    if (!said) return said.error();
    return bits_of(said->at(target));
  }

  /// A found mixture with its z in another order, on the same test.
  result<ordered_json> control(family f, const ordered_json& found) {
    std::vector<std::string> files;
    std::vector<weighted_file> parts;
    for (const auto& one : found.at("mixture").at("components")) {
      auto file = file_of(one.at("expert").get<std::string>());
      if (!file) return file.error();
      parts.push_back({*std::move(file), one.at("alpha").at(0).get<float>()});
    }
    const auto shuffled = shuffled_blend(parts, 1000 + seed_);
    if (!shuffled) return shuffled.error();
    const std::string name = name_of(f) + "-control";
    if (auto kept = import(name, *shuffled); !kept) return kept.error();
    auto answered = answers_unrecorded(f, "expert:" + name);
    if (!answered) return answered.error();
    return ordered_json{{"right", *answered}};
  }

  /// Experts whose z are in another order, one for each family and number.
  result<std::vector<std::string>> shuffled_experts(std::size_t number,
                                                    const std::string& tag) {
    std::vector<std::string> names;
    for (const std::string& one : family_names()) {
      const auto file = file_of(one);
      if (!file) return file.error();
      const auto shuffled = shuffled_blend(
          std::vector<weighted_file>{{*file, 1}}, 100 * seed_ + number);
      if (!shuffled) return shuffled.error();
      names.push_back(one + "-" + tag + std::to_string(number));
      if (auto kept = import(names.back(), *shuffled); !kept)
        return kept.error();
    }
    return names;
  }

  const api_client& api() const { return runtime_->api(); }
  const study_settings& settings() const { return settings_; }
  std::uint64_t seed() const { return seed_; }

 private:
  result<std::string> bytes_of(const std::string& family_name, portion p) {
    return read_file(data_.file(family_name, p), most_file_bytes);
  }

  result<ordered_json> run_training(const std::string& name,
                                    const std::string& data,
                                    ordered_json body) {
    auto train = bytes_of(data, portion::train);
    if (!train) return train.error();
    auto validation = bytes_of(data, portion::validation);
    if (!validation) return validation.error();
    body["data"] = *std::move(train);
    body["validation_data"] = *std::move(validation);
    const auto begin = std::chrono::steady_clock::now();
    const auto made = api().follow("/v1/experts/" + encode_url(name) + "/train",
                                   body, [](auto&) {});
    if (!made) return made.error();
    ordered_json out = made->at("provenance").at("metrics");
    out["seconds"] = std::chrono::duration<double>(
                         std::chrono::steady_clock::now() - begin)
                         .count();
    return out;
  }

  const study_settings& settings_;
  const study_data& data_;
  std::uint64_t seed_;
  const interrupt& signals_;
  measurements& log_;
  std::filesystem::path folder_;
  std::unique_ptr<runtime_access> runtime_;
};

result<void> train_all(workbench& bench) {
  for (const study_family& on : study_families())
    for (const recipe& by : recipes()) {
      if (!bench.settings().extent.trains(on.grown_on, by)) continue;
      if (auto ok = bench.once(training_id(on.grown_on, by.name, bench.seed()),
                               [&] { return bench.train(on, by); });
          !ok)
        return ok;
    }
  return bench.once(classifier_id(bench.seed()),
                    [&] { return bench.train_classifier(); });
}

result<void> compare_strategies(workbench& bench) {
  for (const std::string strategy : {"prompt", "classifier"})
    if (auto ok = bench.once(confusion_id(strategy, bench.seed()),
                             [&] { return bench.confusion(strategy); });
        !ok)
      return ok;
  for (const family f : relatives())
    if (auto ok = bench.once(strategies_id(f, bench.seed()),
                             [&] {
                               return bench.answers(f, {"base", "auto:prompt",
                                                        "auto:classifier"});
                             });
        !ok)
      return ok;
  return {};
}

result<void> search_all(workbench& bench, const measurements& log) {
  const scope& extent = bench.settings().extent;
  for (const family f : relatives())
    for (const std::size_t shots : extent.shots)
      if (auto ok = bench.once(
              few_shot_id(f, shots, bench.seed()),
              [&] {
                return bench.few_shot(
                    name_of(f) + "-" + std::to_string(shots), f, shots);
              });
          !ok)
        return ok;
  for (const family f : relatives()) {
    const std::string found = few_shot_id(f, five_shots, bench.seed());
    if (!log.at(found).at("accepted").get<bool>()) continue;
    if (auto ok = bench.once(control_id(f, bench.seed()),
                             [&] { return bench.control(f, log.at(found)); });
        !ok)
      return ok;
  }
  for (const family f : relatives())
    for (const std::string per : {"expert", "projection"})
      for (const std::string rule : {"delta", "paper"}) {
        if (per == "expert" && rule == "delta") continue;  // the default
        if (extent.quick && f != family::math_hard) continue;
        if (auto ok = bench.once(
                form_id(f, per, rule, bench.seed()),
                [&] {
                  return bench.few_shot(name_of(f) + "-" + per + "-" + rule, f,
                                        five_shots,
                                        {{"per", per}, {"rule", rule}});
                });
            !ok)
          return ok;
      }
  return {};
}

/// Searches among experts that cannot help.
result<void> search_nulls(workbench& bench) {
  const scope& extent = bench.settings().extent;
  for (std::size_t draw = 0; draw < extent.null_draws; ++draw)
    for (const family f : relatives()) {
      const auto search = [&]() -> result<ordered_json> {
        const auto experts = bench.shuffled_experts(draw, "shuffled-");
        if (!experts) return experts.error();
        const std::string task = name_of(f) + "-null-" + std::to_string(draw);
        const auto found =
            bench.adapt(task, f, extent.seeds.back() + 1 + draw, five_shots,
                        *experts);
        if (!found) return found.error();
        ordered_json out{{"accepted", found->at("accepted")},
                         {"scores", found->at("scores")}};
        out["scores"].erase("seen_prompts");
        if (!found->at("accepted").get<bool>()) return out;
        auto answered = bench.answers_unrecorded(f, task);
        if (!answered) return answered.error();
        out["right"] = *std::move(answered);
        return out;
      };
      if (auto ok = bench.once(null_id(f, draw, bench.seed()), search); !ok)
        return ok;
    }
  return {};
}

/// Trained experts first, then shuffled ones.
result<std::vector<std::string>> pool_of(workbench& bench, std::size_t count) {
  std::vector<std::string> names = family_names();
  for (std::size_t number = 50; names.size() < count; ++number) {
    const auto more = bench.shuffled_experts(number, "pool-");
    if (!more) return more.error();
    names.insert(names.end(), more->begin(), more->end());
  }
  names.resize(count);
  return names;
}

result<void> time_pools(workbench& bench) {
  for (const std::size_t count : bench.settings().extent.pool)
    for (const bool preselected : {true, false}) {
      const auto search = [&]() -> result<ordered_json> {
        const auto experts = pool_of(bench, count);
        if (!experts) return experts.error();
        const std::string task = "pool-" + std::to_string(count) +
                                 (preselected ? "-preselected" : "-all");
        const auto found =
            bench.adapt(task, family::math_hard, bench.seed(), five_shots,
                        *experts, {{"preselect", preselected ? 4 : 0}});
        if (!found) return found.error();
        ordered_json out{{"accepted", found->at("accepted")},
                         {"cost", found->at("cost")},
                         {"best", found->at("scores").at("best")}};
        return out;
      };
      if (auto ok = bench.once(pool_id(count, preselected), search); !ok)
        return ok;
    }
  return {};
}

/// Mean seconds of a call, `at_once` of them at a time.
result<double> mean_seconds(std::size_t count, std::size_t at_once,
                            const std::function<result<void>(std::size_t)>& f) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::optional<error> failure;
  const auto begin = std::chrono::steady_clock::now();
  {
    std::vector<std::jthread> clients;
    for (std::size_t c = 0; c < at_once; ++c)
      clients.emplace_back([&] {
        for (std::size_t i; (i = next++) < count;) {
          const auto done = f(i);
          const std::lock_guard lock{mutex};
          if (!done && !failure) failure = done.error();
          if (failure) return;
        }
      });
  }
  if (failure) return *failure;
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin)
             .count() /
         static_cast<double>(count);
}

/// Pass 1 alone, and pass 2 alone (64 tokens under an expert).
result<ordered_json> time_passes(workbench& bench, const study_data& data,
                                 std::size_t at_once) {
  const test_set& set = data.test_of(family::math_hard);
  const std::size_t count =
      std::min(bench.settings().extent.timed, set.examples.size());
  const auto ask = [&](std::size_t i, ordered_json body) -> result<void> {
    body["messages"] = {{{"role", "user"},
                         {"content", set.examples[i].messages.back().content}}};
    const auto answer = bench.api().post("/v1/chat/completions", body);
    return answer ? result<void>{} : answer.error();
  };
  const auto pass_1 = [&](std::size_t i) {
    return ask(i, {{"model", "auto:prompt"}, {"route_only", true}});
  };
  const auto pass_2 = [&](std::size_t i) {
    return ask(i, {{"model", "expert:math"},
                   {"max_tokens", 64},
                   {"ignore_eos", true}});
  };
  for (const auto& warm : {pass_1(0), pass_2(0)})
    if (!warm) return warm.error();
  const auto first = mean_seconds(count, at_once, pass_1);
  if (!first) return first.error();
  const auto second = mean_seconds(count, at_once, pass_2);
  if (!second) return second.error();
  return ordered_json{{"queries", count},
                      {"pass_1", *first},
                      {"pass_2", *second},
                      {"ratio", *first / *second}};
}

}  // namespace

result<std::unique_ptr<measurements>> measurements::open(
    const std::filesystem::path& file, const scope& s) {
  auto log = answer_log::open(file);
  if (!log) return log.error();
  auto out = std::unique_ptr<measurements>{new measurements{*std::move(log)}};
  out->made_ = out->log_.lines();
  const auto known = out->made_.find("scope");
  if (known == out->made_.end()) {
    if (auto kept = out->once(
            "scope",
            [&]() -> result<ordered_json> { return ordered_json{{"of", s.text()}}; });
        !kept)
      return kept.error();
  } else if (known->second.at("of") != s.text()) {
    return error{ec::incompatible,
                 file.string() + ": expected measurements of " + s.text() +
                     ", found some of " + known->second.at("of").dump()};
  }
  return out;
}

bool measurements::has(const std::string& id) const {
  const std::lock_guard lock{mutex_};
  return made_.contains(id);
}

const ordered_json& measurements::at(const std::string& id) const {
  const std::lock_guard lock{mutex_};
  return made_.at(id);
}

result<void> measurements::once(
    const std::string& id, const std::function<result<ordered_json>()>& make) {
  if (has(id)) return {};
  auto made = make();
  if (!made) return made.error();
  ordered_json line{{"id", id}};
  line.update(*made);
  const std::lock_guard lock{mutex_};
  if (auto kept = log_.append(line); !kept) return kept;
  if (auto kept = log_.sync(); !kept) return kept;
  made_[id] = std::move(line);
  return {};
}

std::string training_id(family f, const std::string& recipe,
                        std::uint64_t seed) {
  return "training/" + name_of(f) + "/" + recipe + seed_text(seed);
}
std::string classifier_id(std::uint64_t seed) {
  return "training/classifier" + seed_text(seed);
}
std::string confusion_id(const std::string& strategy, std::uint64_t seed) {
  return "confusion/" + strategy + seed_text(seed);
}
std::string strategies_id(family relative, std::uint64_t seed) {
  return "strategies/" + name_of(relative) + seed_text(seed);
}
std::string few_shot_id(family relative, std::size_t shots,
                        std::uint64_t seed) {
  return "few-shot/" + name_of(relative) + "/" + std::to_string(shots) +
         seed_text(seed);
}
std::string form_id(family relative, const std::string& per,
                    const std::string& rule, std::uint64_t seed) {
  return "form/" + name_of(relative) + "/" + per + "/" + rule +
         seed_text(seed);
}
std::string control_id(family relative, std::uint64_t seed) {
  return "control/" + name_of(relative) + seed_text(seed);
}
std::string null_id(family relative, std::size_t draw, std::uint64_t seed) {
  return "null/" + name_of(relative) + "/" + std::to_string(draw) +
         seed_text(seed);
}
std::string pool_id(std::size_t experts, bool preselected) {
  return "pool/" + std::to_string(experts) +
         (preselected ? "/preselected" : "/all");
}
std::string passes_id(std::size_t at_once) {
  return "passes/" + std::to_string(at_once);
}

result<void> study_seed(const study_settings& settings, const study_data& data,
                        std::uint64_t seed, const interrupt& signals,
                        measurements& log) {
  workbench bench(settings, data, seed, signals, log);
  if (auto ok = bench.open(); !ok) return ok;
  if (auto ok = train_all(bench); !ok) return ok;
  if (auto ok = compare_strategies(bench); !ok) return ok;
  if (auto ok = search_all(bench, log); !ok) return ok;
  return search_nulls(bench);
}

result<void> study_costs(const study_settings& settings, const study_data& data,
                         const interrupt& signals, measurements& log) {
  workbench bench(settings, data, settings.extent.seeds.front(), signals, log);
  if (auto ok = bench.open(); !ok) return ok;
  if (auto ok = time_pools(bench); !ok) return ok;
  for (const std::size_t at_once : {std::size_t{1}, std::size_t{8}})
    if (auto ok = bench.once(passes_id(at_once),
                             [&] { return time_passes(bench, data, at_once); });
        !ok)
      return ok;
  return {};
}

}  // namespace t2::reproduce
