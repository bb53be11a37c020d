#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>
#include <set>

#include "adaptation/leak_guard.hpp"
#include "adaptation/paired_interval.hpp"
#include "adaptation/reward.hpp"
#include "config/durable_file.hpp"
#include "config/progress_bar.hpp"
#include "config/sha256.hpp"
#include "config/task_file.hpp"
#include "config/terminal.hpp"
#include "http/router.hpp"
#include "tools/mixture_text.hpp"
#include "tools/replay_run.hpp"
#include "tools/sampling_flags.hpp"
#include "tools/session.hpp"

namespace t2 {
namespace {

constexpr std::size_t most_file_bytes = std::size_t{512} << 20;

/// What is measured on: the lines and, in the same order, as examples.
struct test_set {
  std::vector<task_line> lines;
  std::vector<example> examples;
  std::string sha256;  // of the file
};

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

/// Refuses a set of which those behind `target` have seen anything.
result<void> guard(const api_client& api, const std::string& target,
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

/// The reward of each line under each target, in the lines' order.
using rewards_by_target = std::map<std::string, std::vector<double>>;

result<rewards_by_target> ask_all(session& here, const api_client& api,
                                  const test_set& set,
                                  const std::vector<std::string>& targets,
                                  const std::string& forced_reward) {
  std::vector<replay_query> queries;
  rewards_by_target rewards;
  std::map<std::string, std::size_t> place;  // by id
  for (std::size_t i = 0; i < set.lines.size(); ++i)
    place[set.lines[i].id] = i;
  for (const auto& target : targets) {
    rewards[target].resize(set.lines.size());
    for (const auto& line : set.lines) {
      auto query = make_query(
          line, target, sampling_form(here.arguments()),
          forced_reward.empty() ? line.reward.value_or("") : forced_reward);
      if (!query) return query.error();
      queries.push_back(*std::move(query));
    }
  }
  std::optional<error> unjudged;
  replay_run run(api, here.signals(), here.options().values.rewards, nullptr,
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
  progress_bar bar(here.err(), {.label = "evaluating",
                                .total = queries.size(),
                                .unit = "answers",
                                .live = is_terminal(2),
                                .width = terminal_width(2, here.env())});
  const auto ended = run.ask_all(
      queries,
      static_cast<std::size_t>(
          here.arguments().get<std::int64_t>("concurrency")),
      [&](std::size_t done) { bar.show(done); });
  bar.finish();
  if (!ended) return ended.error();
  if (run.first_failure()) return *run.first_failure();
  if (unjudged) return *unjudged;
  return rewards;
}

ordered_json form_of(const paired_interval& interval) {
  return {{"mean", interval.mean},
          {"low", interval.low},
          {"high", interval.high}};
}

double share_right(const std::vector<double>& rewards) {
  double right = 0;
  for (const double r : rewards) right += r > 0 ? 1 : 0;
  return right / static_cast<double>(rewards.size());
}

/// Accuracy of the target, and of the gain over what it is compared with.
ordered_json compare(const std::string& target, const std::string& against,
                     const rewards_by_target& rewards) {
  const auto& of_target = rewards.at(target);
  ordered_json form = {{"count", of_target.size()},
                       {"accuracy", share_right(of_target)}};
  if (target == against) return form;
  const auto& of_other = rewards.at(against);
  std::vector<double> gains;
  for (std::size_t i = 0; i < of_target.size(); ++i)
    gains.push_back((of_target[i] > 0 ? 1.0 : 0.0) -
                    (of_other[i] > 0 ? 1.0 : 0.0));
  form["against"] = against;
  form["against_accuracy"] = share_right(of_other);
  form["gain"] = form_of(interval_of(gains));
  return form;
}

std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %%", 100 * share);
  return text;
}

std::string points(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%+.1f", 100 * share);
  return text;
}

result<exit_code> evaluate(session& here) {
  const auto& given = here.arguments();
  const std::string file = here.positional(0);
  const auto set = read_test_set(file, given.get<std::int64_t>("limit"));
  if (!set) return set.error();
  if (set->lines.empty())
    return error{ec::invalid_argument, file + ": expected lines, found none"};
  const std::string against = given.get<std::string>("against");
  std::vector<std::string> targets =
      given.get<std::vector<std::string>>("model");
  if (targets.empty()) targets = {"base"};
  const std::vector<std::string> asked = targets;
  if (std::ranges::find(targets, against) == targets.end())
    targets.push_back(against);
  if (std::set(targets.begin(), targets.end()).size() != targets.size())
    return error{ec::invalid_argument,
                 "--model: expected distinct names, found one twice"};

  const auto api = here.ready_api();
  if (!api) return api.error();
  const bool allow = given.get<bool>("allow_unrecorded");
  for (const auto& target : targets)
    if (auto fine = guard(**api, target, *set, allow); !fine)
      return fine.error();
  const auto rewards =
      ask_all(here, **api, *set, targets, given.get<std::string>("reward"));
  if (!rewards) return rewards.error();

  seen_prompts prompts;
  for (const example& e : set->examples) prompts.add(e);
  ordered_json all = ordered_json::object();
  table rows({{"TARGET"},
              {"RIGHT", alignment::right},
              {"GAIN", alignment::right},
              {"95 % INTERVAL"}});
  for (const auto& target : targets) {
    const ordered_json scores = compare(target, against, *rewards);
    const auto kept =
        (*api)->post("/v1/evaluations", {{"model", target},
                                         {"dataset", file},
                                         {"data_sha256", set->sha256},
                                         {"prompts", prompts.text()},
                                         {"allow_unrecorded", allow},
                                         {"scores", scores}});
    if (!kept) return kept.error();
    const bool compared = scores.contains("gain");
    rows.add_row(
        {target, percent(scores.at("accuracy")),
         compared ? points(scores["gain"]["mean"]) : "",
         compared ? points(scores["gain"]["low"].get<double>()) + " to " +
                        points(scores["gain"]["high"].get<double>())
                  : ""});
    all[target] = scores;
  }
  if (here.json()) {
    here.print_json(all);
  } else {
    here.print_table(rows);
    here.out() << set->lines.size() << " prompts that none of them has seen; "
               << "gain over " << against << " in points, paired bootstrap.\n";
  }
  return exit_code::ok;
}

}  // namespace

std::vector<command_entry> eval_commands() {
  std::vector<option> options = {
      {.name = "model",
       .kind = option_kind::list,
       .value = std::vector<std::string>(),
       .help = "what answers: base, a task, expert:NAME, auto; several with "
               "commas",
       .unit = "NAMES"},
      {.name = "against",
       .value = std::string("base"),
       .help = "what they are compared with, prompt by prompt",
       .unit = "NAME"},
      {.name = "reward",
       .help = "what judges every answer, in place of the lines' own",
       .choices = reward_names()},
      {.name = "concurrency",
       .kind = option_kind::integer,
       .value = std::int64_t{16},
       .help = "queries at once",
       .unit = "N",
       .least = 1,
       .most = 256},
      {.name = "limit",
       .kind = option_kind::integer,
       .value = std::int64_t{0},
       .help = "only the first lines; 0: all",
       .unit = "N"},
      {.name = "allow_unrecorded",
       .kind = option_kind::boolean,
       .value = false,
       .help = "measure experts that do not say what they have seen"}};
  const auto sampling = sampling_flags();
  options.insert(options.end(), sampling.begin(), sampling.end());
  return {{{.name = "eval",
            .summary = "Measure accuracy on prompts that were never seen",
            .positionals = {{.name = "FILE",
                             .help = "JSONL of prompts with answers"}},
            .options = std::move(options)},
           evaluate}};
}

}  // namespace t2
