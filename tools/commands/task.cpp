#include <chrono>
#include <optional>
#include <type_traits>
#include <variant>

#include "adaptation/reward.hpp"
#include "config/progress_bar.hpp"
#include "config/task_file.hpp"
#include "config/terminal.hpp"
#include "http/router.hpp"
#include "tools/asked_form.hpp"
#include "tools/mixture_text.hpp"
#include "tools/session.hpp"
#include "tools/this_command.hpp"

namespace t2 {
namespace {

std::string path_of(const std::string& task) {
  return "/v1/tasks/" + encode_url(task);
}

result<exit_code> add(session& here) {
  const auto lines =
      read_task_file(here.arguments().get<std::string>("examples"));
  if (!lines) return lines.error();
  const auto form = chosen_form(here.arguments());
  if (!form) return form.error();
  ordered_json examples = ordered_json::array();
  for (const auto& line : *lines)
    examples.push_back(ordered_json(to_json(line)));
  ordered_json body = {
      {"name", here.positional(0)},
      {"reward", here.arguments().get<std::string>("reward")},
      {"description", here.arguments().get<std::string>("description")},
      {"examples", std::move(examples)}};
  if (here.arguments().given("label"))
    body["options"] = {{"label", here.arguments().get<std::string>("label")}};
  if (!form->empty()) body["form"] = *form;
  const auto api = here.ready_api();
  if (!api) return api.error();
  const auto task = (*api)->post("/v1/tasks", body);
  if (!task) return task.error();
  if (here.json()) {
    here.print_json(*task);
  } else {
    here.out() << "Task " << task->value("name", "") << " has "
               << task->at("examples").size() << " examples, asked "
               << task->value("form", "raw") << ".\n";
  }
  return exit_code::ok;
}

result<exit_code> list(session& here) {
  const auto api = here.api();
  if (!api) return api.error();
  const auto tasks = (*api)->get("/v1/tasks");
  if (!tasks) return tasks.error();
  if (here.json()) {
    here.print_json(*tasks);
    return exit_code::ok;
  }
  table rows({{"TASK"},
              {"REWARD"},
              {"EXAMPLES", alignment::right},
              {"CREATED"},
              {"DESCRIPTION"}});
  for (const auto& task : tasks->at("data")) {
    rows.add_row({task.value("name", ""), task.value("reward", ""),
                  std::to_string(task.at("examples").size()),
                  print_time(task.value("created", std::int64_t{0})),
                  task.value("description", "")});
  }
  here.print_table(rows);
  return exit_code::ok;
}

result<exit_code> show(session& here) {
  const auto api = here.api();
  if (!api) return api.error();
  const std::string path = path_of(here.positional(0));
  auto task = (*api)->get(path);
  if (!task) return task.error();
  const auto adaptations = (*api)->get(path + "/adaptations");
  if (!adaptations) return adaptations.error();
  if (here.json()) {
    (*task)["adaptations"] = adaptations->at("data");
    here.print_json(*task);
    return exit_code::ok;
  }
  here.out() << "Task " << task->value("name", "") << ", reward "
             << task->value("reward", "") << ", asked "
             << task->value("form", "raw") << ", base "
             << task->value("base", "").substr(0, 12) << "\n";
  if (!task->value("description", "").empty()) {
    here.out() << printable(task->value("description", "")) << "\n";
  }
  here.out() << "\n";
  table examples({{"EXAMPLE"}, {"PROMPT"}, {"ANSWER"}});
  for (const auto& one : task->at("examples")) {
    const std::string prompt = one.contains("messages")
                                   ? dump_json(one.at("messages"))
                                   : one.value("prompt", "");
    examples.add_row({one.value("id", ""), cut_to_width(prompt, 40),
                      cut_to_width(one.value("answer", ""), 60)});
  }
  here.print_table(examples);
  here.out() << "\n";
  table rows({{"ADAPTATION"}, {"CREATED"}, {"OUTCOME"}, {"MIXTURE"}});
  for (const auto& one : adaptations->at("data")) {
    rows.add_row({one.value("key", "").substr(0, 12),
                  print_time(one.value("created", std::int64_t{0})),
                  outcome_text(one), mixture_text(one.at("mixture"))});
  }
  here.print_table(rows);
  return exit_code::ok;
}

result<exit_code> remove(session& here) {
  const auto api = here.api();
  if (!api) return api.error();
  const auto removed = (*api)->remove(path_of(here.positional(0)));
  if (!removed) return removed.error();
  if (here.json()) here.print_json(*removed);
  return exit_code::ok;
}

ordered_json to_form(const option_value& value) {
  return std::visit(
      [](const auto& held) -> ordered_json {
        if constexpr (std::is_same_v<std::decay_t<decltype(held)>,
                                     std::chrono::milliseconds>) {
          return held.count();
        } else {
          return held;
        }
      },
      value);
}

/// What the user has said about the search; the daemon knows the rest.
ordered_json search_form(const loaded_options& options) {
  ordered_json form = ordered_json::object();
  for (const auto& entry : option_table()) {
    const std::string& name = entry.declared.name;
    if (!name.starts_with("search.")) continue;
    for (const auto& origin : options.origins) {
      if (origin.name == name && origin.source != option_source::built_in) {
        form[name.substr(7)] = to_form(entry.get(options.values));
      }
    }
  }
  return form;
}

result<exit_code> adapt(session& here) {
  ordered_json body = search_form(here.options());
  if (here.arguments().get<bool>("force")) body["force"] = true;
  const auto& experts =
      here.arguments().get<std::vector<std::string>>("experts");
  if (!experts.empty()) body["experts"] = experts;
  const auto api = here.ready_api();
  if (!api) return api.error();

  std::optional<progress_bar> bar;
  const auto report = (*api)->follow(
      path_of(here.positional(0)) + "/adapt", body,
      [&](const ordered_json& progress) {
        if (!bar) {
          bar.emplace(here.err(),
                      progress_bar::settings{
                          .label = "adapting",
                          .total = progress.value("iterations", std::size_t{0}),
                          .unit = "iterations",
                          .live = is_terminal(2),
                          .width = terminal_width(2, here.env())});
        }
        bar->show(progress.value("iteration", std::size_t{0}),
                  "best " + number_text(progress.at("best_score")) + ", base " +
                      number_text(progress.at("base_score")));
      },
      api_client::on_interrupt::keep);
  bar.reset();
  const int signal = here.signals().signal();
  if (!report) {
    if (signal != 0)
      here.tell_interrupted(report.error().message, this_command());
    return report.error();
  }
  const auto done = signal == 0 ? exit_code::ok
                                : static_cast<exit_code>(128 + signal);
  if (signal != 0 && report->value("truncated", false)) {
    std::string command = this_command();
    if (!here.arguments().get<bool>("force")) command += " --force";
    here.tell_interrupted(
        "interrupted: what was known by then has decided, and is stored as "
        "truncated",
        command);
  }
  if (here.json()) {
    here.print_json(*report);
    return done;
  }
  here.out() << "Task " << here.positional(0) << ": " << outcome_text(*report)
             << (report->value("reused", false)
                     ? " (from the store, nothing was computed)"
                     : "")
             << "\n"
             << "mixture  " << mixture_text(report->at("mixture")) << "\n"
             << "scores   " << dump_json(report->at("scores")) << "\n"
             << "cost     " << dump_json(report->at("cost")) << "\n";
  return done;
}

}  // namespace

std::vector<command_entry> task_commands() {
  const positional name{.name = "TASK", .help = "the task's name"};
  const auto forms = form_flags();
  return {
      {{.name = "task add",
        .summary = "Register a task by a few examples",
        .positionals = {name},
        .options = {{.name = "examples",
                     .kind = option_kind::path,
                     .help = "JSONL of prompts or messages with answers",
                     .unit = "FILE",
                     .required = true},
                    {.name = "reward",
                     .value = std::string("exact"),
                     .help = "what judges an answer",
                     .choices = reward_names()},
                    {.name = "description",
                     .help = "words for people, and for pass 1",
                     .unit = "TEXT"},
                    {.name = "label",
                     .help = "a class of pass 1: queries without a task find "
                             "it by this word",
                     .unit = "WORD"},
                    forms[0],
                    forms[1]}},
       add},
      {{.name = "task list", .summary = "List the tasks"}, list},
      {{.name = "task show",
        .summary = "Show a task, its examples and adaptations",
        .positionals = {name}},
       show},
      {{.name = "task rm", .summary = "Remove a task", .positionals = {name}},
       remove},
      {{.name = "adapt",
        .summary = "Search the mixture of experts that suits a task",
        .positionals = {name},
        .options = {{.name = "force",
                     .kind = option_kind::boolean,
                     .value = false,
                     .help = "search again although the store has one"},
                    {.name = "experts",
                     .kind = option_kind::list,
                     .value = std::vector<std::string>(),
                     .help = "the experts to mix; all of this base without"}}},
       adapt}};
}

}  // namespace t2
