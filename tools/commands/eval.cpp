#include <algorithm>
#include <cstdio>
#include <optional>
#include <set>

#include "adaptation/leak_guard.hpp"
#include "adaptation/reward.hpp"
#include "config/progress_bar.hpp"
#include "config/terminal.hpp"
#include "tools/answer_log.hpp"
#include "tools/answer_text.hpp"
#include "tools/asked_form.hpp"
#include "tools/evaluation.hpp"
#include "tools/sampling_flags.hpp"
#include "tools/session.hpp"
#include "tools/this_command.hpp"

namespace t2 {
namespace {

/// Accuracy of the target, what its answers are like, and the gain over what it
/// is compared with.
result<ordered_json> compare(const std::string& target,
                             const std::string& against, const test_set& set,
                             const evaluation_settings& settings,
                             const answers_by_target& answers) {
  const auto right = right_of(answers.at(target));
  ordered_json form = accuracy_form(right, set.prompts);
  const auto report = report_on(set, settings, answers.at(target));
  if (!report) return report.error();
  form["answers"] = report->form();
  if (target == against) return form;
  const auto right_of_other = right_of(answers.at(against));
  form["against"] = against;
  form["against_accuracy"] =
      accuracy_form(right_of_other, set.prompts)["accuracy"];
  form["gain"] = gain_form(right, right_of_other, set.prompts);
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

/// All targets are asked alike: in the form that was chosen, else in that of
/// the tasks among them; empty: what the model's template says.
result<std::string> common_form(asked_form& forms, std::string chosen,
                                const std::vector<std::string>& targets) {
  if (!chosen.empty()) return chosen;
  std::string whose;
  for (const auto& target : targets) {
    const auto form = forms.recorded(target);
    if (!form) return form.error();
    if (form->empty()) continue;
    if (!chosen.empty() && chosen != *form)
      return error{ec::invalid_argument,
                   "--model: expected tasks of one form, found " + whose +
                       " (" + chosen + ") and " + target + " (" + *form +
                       "): --raw or --chat asks them alike"};
    chosen = *form;
    whose = target;
  }
  return chosen;
}

result<exit_code> evaluate(session& here) {
  const auto& given = here.arguments();
  const auto chosen = chosen_form(given);
  if (!chosen) return chosen.error();
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

  std::optional<answer_log> log;
  if (const std::string out = given.get<std::string>("out"); !out.empty()) {
    auto opened = answer_log::open(out);
    if (!opened) return opened.error();
    log.emplace(*std::move(opened));
  }
  const auto api = here.ready_api();
  if (!api) return api.error();
  auto forms = asked_form::make(**api, *chosen);
  if (!forms) return forms.error();
  const auto common = common_form(*forms, *chosen, targets);
  if (!common) return common.error();
  const bool allow = given.get<bool>("allow_unrecorded");
  for (const auto& target : targets)
    if (auto fine = refuse_what_was_seen(**api, target, *set, allow); !fine)
      return fine.error();
  progress_bar bar(here.err(), {.label = "evaluating",
                                .total = targets.size() * set->lines.size(),
                                .unit = "answers",
                                .live = is_terminal(2),
                                .width = terminal_width(2, here.env())});
  const evaluation_settings settings{
      .sampling = sampling_form(given),
      .reward = given.get<std::string>("reward"),
      .rewards = here.options().values.rewards,
      .form =
          [&](const task_line& line) {
            return form_of_example(*common, forms->has_template(),
                                   program_of_line(line));
          },
      .concurrency =
          static_cast<std::size_t>(given.get<std::int64_t>("concurrency"))};
  const auto answers = answers_of(**api, here.signals(), *set, targets,
                                  settings, log ? &*log : nullptr,
                                  [&](std::size_t done) { bar.show(done); });
  bar.finish();
  if (!answers) {
    if (log)
      here.tell("the answers so far are in " + given.get<std::string>("out"));
    if (here.signals().signal() != 0)
      here.tell_interrupted(
          log ? "interrupted: nothing was measured, an evaluation is of all its "
                "prompts; what is answered already is not asked again"
              : "interrupted: the answers so far are lost, and nothing was "
                "measured: an evaluation is of all its prompts (--out keeps "
                "them)",
          this_command());
    return answers.error();
  }

  seen_prompts prompts;
  for (const example& e : set->examples) prompts.add(e);
  ordered_json all = ordered_json::object();
  table rows({{"TARGET"},
              {"RIGHT", alignment::right},
              {"95 % INTERVAL"},
              {"GAIN", alignment::right},
              {"95 % INTERVAL"}});
  for (const auto& target : targets) {
    const auto made = compare(target, against, *set, settings, *answers);
    if (!made) return made.error();
    const ordered_json& scores = *made;
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
         percent(scores.at("interval").at(0)) + " to " +
             percent(scores.at("interval").at(1)),
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
    here.out() << set->prompts.size()
               << " prompts that none of them has seen; gain over " << against
               << " in points; bootstrap over prompts, paired.\n";
    for (const auto& target : targets)
      here.out() << "\n" << answer_text(target, all[target].at("answers"));
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
      {.name = "out",
       .kind = option_kind::path,
       .help = "JSONL of all answers; those that it has are not asked again",
       .unit = "FILE"},
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
  const auto forms = form_flags();
  options.insert(options.end(), forms.begin(), forms.end());
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
