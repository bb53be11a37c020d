#include "config/progress_bar.hpp"
#include "config/task_file.hpp"
#include "config/terminal.hpp"
#include "tools/load_run.hpp"
#include "tools/session.hpp"
#include "tools/this_command.hpp"

namespace t2 {
namespace {

error usage(const std::string& message) {
  return {ec::invalid_argument, message};
}

result<load_settings> read_settings(const command_arguments& given) {
  const auto number = [&](const char* name) {
    return static_cast<std::size_t>(given.get<std::int64_t>(name));
  };
  const load_settings settings{
      .requests = number("requests"),
      .seconds = given.get<double>("seconds"),
      .concurrency = number("concurrency"),
      .rate = given.get<double>("rate"),
      .max_outstanding = number("max_outstanding"),
      .seed = static_cast<std::uint64_t>(given.get<std::int64_t>("seed")),
      .misbehave = given.get<double>("misbehave")};
  if (settings.requests == 0 && settings.seconds == 0) {
    return usage("expected --requests N or --seconds S, found neither");
  }
  if (settings.rate > 0 && given.given("concurrency")) {
    return usage("expected --concurrency or --rate, found both");
  }
  return settings;
}

result<load_plan> read_plan(const command_arguments& given) {
  std::vector<std::string> targets;
  for (const char* name : {"model", "models"}) {
    const auto& some = given.get<std::vector<std::string>>(name);
    targets.insert(targets.end(), some.begin(), some.end());
  }
  ordered_json common = {{"max_tokens", given.get<std::int64_t>("max_tokens")}};
  if (given.get<bool>("ignore_eos")) common["ignore_eos"] = true;
  const std::string file = given.get<std::string>("file");
  if (file.empty()) {
    return load_plan(
        synthetic_prompts(
            static_cast<std::size_t>(given.get<std::int64_t>("prompts")),
            static_cast<std::size_t>(given.get<std::int64_t>("prompt_tokens")),
            static_cast<std::uint64_t>(given.get<std::int64_t>("seed"))),
        std::move(targets), std::move(common));
  }
  const auto lines = read_task_file(file);
  if (!lines) return lines.error();
  return load_plan(prompts_of(*lines), std::move(targets), std::move(common));
}

result<exit_code> bench_serve(session& here) {
  const auto& given = here.arguments();
  const auto settings = read_settings(given);
  if (!settings) return settings.error();
  const auto plan = read_plan(given);
  if (!plan) return plan.error();
  const auto api = here.ready_api();
  if (!api) return api.error();

  load_summary summary(given.get<bool>("check"));
  load_run run((*api)->http(), here.signals(), *plan, *settings);
  progress_bar bar(here.err(), {.label = "asking",
                                .total = settings->requests,
                                .unit = "requests",
                                .live = is_terminal(2),
                                .width = terminal_width(2, here.env())});
  run.run(summary, [&](std::size_t done) { bar.show(done); });
  bar.finish();

  ordered_json form = {{"mode", settings->rate > 0 ? "open" : "closed"}};
  if (settings->rate > 0) {
    form["rate"] = settings->rate;
  } else {
    form["concurrency"] = settings->concurrency;
  }
  form.update(summary.form(run.seconds()));
  if (here.json()) {
    here.print_json(form);
  } else {
    here.out() << print_load(form);
  }
  if (const int signal = here.signals().signal(); signal != 0) {
    here.tell_interrupted(
        "interrupted: the numbers are those of the requests so far",
        this_command());
    return static_cast<exit_code>(128 + signal);
  }
  if (summary.first_problem()) return *summary.first_problem();
  return exit_code::ok;
}

option count(std::string name, std::int64_t value, std::string help,
             std::int64_t least, std::int64_t most) {
  return {.name = std::move(name),
          .kind = option_kind::integer,
          .value = value,
          .help = std::move(help),
          .unit = "N",
          .least = least,
          .most = most};
}

}  // namespace

std::vector<command_entry> bench_commands() {
  constexpr std::int64_t plenty = 1'000'000'000;
  std::vector<option> options = {
      count("requests", 0, "requests to send; 0: until the time is over", 0,
            plenty),
      {.name = "seconds",
       .kind = option_kind::real,
       .value = 0.0,
       .help = "time in which requests begin; 0: no limit",
       .unit = "S"},
      count("concurrency", 4, "clients that each wait for their answer", 1,
            1024),
      {.name = "rate",
       .kind = option_kind::real,
       .value = 0.0,
       .help = "requests a second, whoever still waits; 0: --concurrency",
       .unit = "R",
       .high = 1e5},
      count("max_outstanding", 256,
            "with --rate: requests out at once; more are dropped", 1, 4096),
      count("seed", 0, "of arrivals, synthetic prompts and misbehaviour", 0,
            std::numeric_limits<std::int64_t>::max()),
      {.name = "model",
       .kind = option_kind::list,
       .value = std::vector<std::string>(),
       .help = "what answers, in turn: base, auto, a task, expert:NAME; may be "
               "given again",
       .unit = "NAME"},
      {.name = "models",
       .kind = option_kind::list,
       .value = std::vector<std::string>(),
       .help = "the same as a list",
       .unit = "A,B,C"},
      {.name = "file",
       .kind = option_kind::path,
       .help = "JSONL of prompts; without it they are made up",
       .unit = "FILE"},
      count("prompts", 32, "prompts that are made up", 1, 1'000'000),
      count("prompt_tokens", 32, "words of each", 1, 1'000'000),
      count("max_tokens", 32, "most tokens of an answer", 1, plenty),
      {.name = "ignore_eos",
       .kind = option_kind::boolean,
       .value = false,
       .help = "every answer has all its tokens"},
      {.name = "misbehave",
       .kind = option_kind::real,
       .value = 0.0,
       .help = "share of clients that vanish, send half a request or read "
               "slowly",
       .unit = "P",
       .high = 1},
      {.name = "check",
       .kind = option_kind::boolean,
       .value = false,
       .help = "count answers that differ from an earlier one to the same "
               "prompt"}};
  return {{{.name = "bench serve",
            .summary = "Measure throughput and latency under load",
            .options = std::move(options)},
           bench_serve}};
}

}  // namespace t2
