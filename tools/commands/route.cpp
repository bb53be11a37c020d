#include <algorithm>
#include <cstdio>
#include <set>

#include "config/progress_bar.hpp"
#include "config/terminal.hpp"
#include "tools/confusion.hpp"
#include "tools/evaluation.hpp"
#include "tools/mixture_text.hpp"
#include "tools/routed.hpp"
#include "tools/session.hpp"

namespace t2 {
namespace {

/// `auto:classifier` and the like, which pass 1 decides.
std::string pass_1_target(const session& here) {
  const std::string by = here.arguments().get<std::string>("by");
  return by == "auto" ? by : "auto:" + by;
}

result<exit_code> route_text(session& here, const api_client& api,
                             const std::string& target) {
  const auto route = routed(api, target, here.positional(0));
  if (!route) return route.error();
  if (here.json()) {
    here.print_json(*route);
    return exit_code::ok;
  }
  table rows({{""}, {""}});
  for (const char* name : {"strategy", "task", "label", "confidence", "reason"})
    if (const auto& value = route->at(name); !value.is_null())
      rows.add_row({name, value.is_string() ? value.get<std::string>()
                                            : number_text(value)});
  if (route->contains("probabilities"))
    for (const auto& [label, probability] : route->at("probabilities").items())
      rows.add_row({"p(" + label + ")", number_text(probability)});
  rows.add_row({"mixture", mixture_text(route->at("mixture"))});
  here.print_table(rows);
  return exit_code::ok;
}

result<exit_code> route_file(session& here, const api_client& api,
                             const std::string& target,
                             const std::string& file) {
  const auto set = read_test_set(file, 0);
  if (!set) return set.error();
  if (auto fine = refuse_what_was_seen(
          api, target, *set, here.arguments().get<bool>("allow_unrecorded"));
      !fine)
    return fine.error();
  progress_bar bar(here.err(), {.label = "classifying",
                                .total = set->lines.size(),
                                .unit = "queries",
                                .live = is_terminal(2),
                                .width = terminal_width(2, here.env())});
  const auto matrix = classify_all(
      api, here.signals(), target, *set,
      [&](std::size_t done) { bar.show(done); });
  bar.finish();
  if (!matrix) return matrix.error();
  const ordered_json form = matrix->form();
  if (here.json()) {
    here.print_json(form);
    return exit_code::ok;
  }
  here.print_table(matrix->as_table());
  char text[128];
  std::snprintf(text, sizeof text,
                "%zu queries, %.1f %% right, 95 %% interval %.1f to %.1f\n",
                matrix->total(), 100 * form.at("accuracy").get<double>(),
                100 * form.at("interval").at(0).get<double>(),
                100 * form.at("interval").at(1).get<double>());
  here.out() << text;
  return exit_code::ok;
}

result<exit_code> route(session& here) {
  const std::string target = pass_1_target(here);
  const bool file = here.arguments().get<bool>("file");
  const auto api = here.ready_api();
  if (!api) return api.error();
  return file ? route_file(here, **api, target, here.positional(0))
              : route_text(here, **api, target);
}

}  // namespace

std::vector<command_entry> route_commands() {
  return {{{.name = "route",
            .summary = "Say where a query would go, and why",
            .positionals = {{.name = "TEXT",
                             .help = "a query; with --file JSONL of queries "
                                     "whose answer is their class"}},
            .options = {{.name = "by",
                         .value = std::string("auto"),
                         .help = "who classifies: the base (prompt), the "
                                 "expert for it, or what route.strategy says",
                         .choices = {"auto", "prompt", "classifier"}},
                        {.name = "file",
                         .kind = option_kind::boolean,
                         .value = false,
                         .help = "TEXT is a file: print how often each class "
                                 "was taken for which"},
                        {.name = "allow_unrecorded",
                         .kind = option_kind::boolean,
                         .value = false,
                         .help = "measure experts that do not say what they "
                                 "have seen"}}},
           route}};
}

}  // namespace t2
