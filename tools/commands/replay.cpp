#include <optional>
#include <set>

#include "adaptation/reward.hpp"
#include "config/progress_bar.hpp"
#include "config/task_file.hpp"
#include "config/terminal.hpp"
#include "http/router.hpp"
#include "tools/asked_form.hpp"
#include "tools/replay_run.hpp"
#include "tools/sampling_flags.hpp"
#include "tools/session.hpp"
#include "tools/this_command.hpp"

namespace t2 {
namespace {

/// Where a line goes: its own task, unless the command says.
std::string target_of(const task_line& line, const command_arguments& given) {
  const std::string task = given.get<std::string>("task");
  if (!task.empty()) return task;
  const std::string model = given.get<std::string>("model");
  if (!model.empty()) return model;
  return line.task.value_or("auto");
}

/// The rewards of the tasks that lines name, asked for once.
class task_rewards {
 public:
  explicit task_rewards(const api_client& api) : api_(api) {}

  /// Empty where `target` is no task.
  std::string of(const std::string& target) {
    const auto [known, fresh] = known_.try_emplace(target);
    if (fresh && target != "auto" && target != "base" &&
        !target.starts_with("expert:")) {
      const auto task = api_.get("/v1/tasks/" + encode_url(target));
      if (task) known->second = task->value("reward", "");
    }
    return known->second;
  }

 private:
  const api_client& api_;
  std::map<std::string, std::string> known_;
};

/// What judges a line's answer: nothing where there is no reference.
std::string reward_of(const task_line& line, const std::string& target,
                      const command_arguments& given, task_rewards& rewards) {
  if (!line.answer) return "";
  const std::string forced = given.get<std::string>("reward");
  if (!forced.empty()) return forced;
  return line.reward ? *line.reward : rewards.of(target);
}

result<void> adapt_tasks(session& here, const api_client& api,
                         const std::vector<replay_query>& queries) {
  std::set<std::string> tasks;
  for (const auto& query : queries) {
    const std::string target = query.body.at("model");
    if (target != "auto" && target != "base" &&
        !target.starts_with("expert:")) {
      tasks.insert(target);
    }
  }
  for (const auto& task : tasks) {
    here.tell("adapting " + task);
    const auto report =
        api.follow("/v1/tasks/" + encode_url(task) + "/adapt",
                   ordered_json::object(), [](const ordered_json&) {});
    if (!report) return report.error();
  }
  return {};
}

std::int64_t counter(const result<ordered_json>& health, const char* name) {
  return health ? health->value(name, std::int64_t{0}) : 0;
}

result<exit_code> replay(session& here) {
  const auto& given = here.arguments();
  const auto chosen = chosen_form(given);
  if (!chosen) return chosen.error();
  const auto lines = read_task_file(here.positional(0));
  if (!lines) return lines.error();
  const std::string out = given.get<std::string>("out");
  std::optional<answer_log> log;
  if (!out.empty()) {
    auto opened = answer_log::open(out);
    if (!opened) return opened.error();
    log.emplace(*std::move(opened));
  }
  const auto api = here.ready_api();
  if (!api) return api.error();

  auto forms = asked_form::make(**api, *chosen);
  if (!forms) return forms.error();
  task_rewards rewards(**api);
  std::vector<replay_query> all;
  const auto limit = given.get<std::int64_t>("limit");
  for (const auto& line : *lines) {
    if (limit > 0 && static_cast<std::int64_t>(all.size()) == limit) break;
    const std::string target = target_of(line, given);
    const auto form = forms->of(target, line);
    if (!form) return form.error();
    auto query = make_query(line, target, sampling_form(given),
                            reward_of(line, target, given, rewards), *form);
    if (!query) return query.error();
    all.push_back(*std::move(query));
  }
  replay_run run(**api, here.signals(), here.options().values.rewards,
                 log ? &*log : nullptr);
  const std::size_t total = all.size();
  const auto pending = run.pending(std::move(all));
  if (!pending) return pending.error();

  const auto before = (*api)->health();
  const auto begin = std::chrono::steady_clock::now();
  if (given.get<bool>("adapt")) {
    if (auto done = adapt_tasks(here, **api, *pending); !done) {
      return done.error();
    }
  }
  progress_bar bar(here.err(), {.label = "replaying",
                                .total = total,
                                .unit = "queries",
                                .live = is_terminal(2),
                                .width = terminal_width(2, here.env())});
  const std::size_t skipped = total - pending->size();
  bar.show(skipped);
  const auto ended = run.ask_all(
      *pending,
      static_cast<std::size_t>(given.get<std::int64_t>("concurrency")),
      [&](std::size_t done) { bar.show(skipped + done); });
  bar.finish();
  const std::chrono::duration<double> seconds =
      std::chrono::steady_clock::now() - begin;
  const int signal = here.signals().signal();
  if (!ended && signal == 0) {
    if (log) here.tell("the answers so far are in " + out);
    return ended.error();
  }
  // Interrupted: what there is, and how to have the rest.
  if (!ended)
    here.tell_interrupted(
        log ? "interrupted: the answers so far are in " + out +
                  " and are not asked again"
            : "interrupted: the answers are not kept without --out FILE, and "
              "all are asked again",
        this_command());
  const result<ordered_json> after =
      ended ? (*api)->health() : result<ordered_json>(ended.error());
  ordered_json summary = run.summary().form(seconds.count());
  if (after)
    summary["adaptations"] = {
        {"computed", counter(after, "adaptations_computed") -
                         counter(before, "adaptations_computed")},
        {"reused", counter(after, "adaptations_reused") -
                       counter(before, "adaptations_reused")}};
  if (here.json()) {
    here.print_json(summary);
  } else {
    here.out() << print_summary(summary);
  }
  if (!ended) return ended.error();
  if (run.first_failure()) return *run.first_failure();
  return exit_code::ok;
}

}  // namespace

std::vector<command_entry> replay_commands() {
  std::vector<option> options = {
      {.name = "out",
       .kind = option_kind::path,
       .help = "JSONL of the answers; those that it has are not asked again",
       .unit = "FILE"},
      {.name = "concurrency",
       .kind = option_kind::integer,
       .value = std::int64_t{4},
       .help = "queries at once",
       .unit = "N",
       .least = 1,
       .most = 256},
      {.name = "limit",
       .kind = option_kind::integer,
       .value = std::int64_t{0},
       .help = "only the first lines; 0: all",
       .unit = "N"},
      {.name = "task",
       .help = "the task of every line, in place of their own",
       .unit = "TASK"},
      {.name = "model",
       .help = "what answers every line: base, expert:NAME, auto",
       .unit = "NAME"},
      {.name = "reward",
       .help = "what judges every answer, in place of the lines' own",
       .choices = reward_names()},
      {.name = "adapt",
       .kind = option_kind::boolean,
       .value = false,
       .help = "adapt the lines' tasks first (once: the store remembers)"}};
  const auto forms = form_flags();
  options.insert(options.end(), forms.begin(), forms.end());
  const auto sampling = sampling_flags();
  options.insert(options.end(), sampling.begin(), sampling.end());
  return {{{.name = "replay",
            .summary = "Answer a file of queries; measure and judge",
            .positionals = {{.name = "FILE", .help = "JSONL of queries"}},
            .options = std::move(options)},
           replay}};
}

}  // namespace t2
