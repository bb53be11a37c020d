#include "config/options.hpp"
#include "tools/session.hpp"

namespace t2 {
namespace {

result<exit_code> show_config(session& here) {
  const auto rows = report_options(here.options());
  if (here.json()) {
    ordered_json form = ordered_json::object();
    for (const auto& row : rows) {
      form[row.name] = {{"value", row.value}, {"origin", row.origin}};
    }
    here.print_json(form);
    return exit_code::ok;
  }
  table shown({{"OPTION"}, {"VALUE"}, {"FROM"}});
  for (const auto& row : rows) shown.add_row({row.name, row.value, row.origin});
  here.print_table(shown);
  return exit_code::ok;
}

result<exit_code> show_version(session& here) {
  if (here.json()) {
    here.print_json({{"version", here.program().version}});
  } else {
    here.out() << here.program().name << " " << here.program().version << "\n";
  }
  return exit_code::ok;
}

}  // namespace

std::vector<command_entry> config_commands() {
  return {{{.name = "config",
            .summary = "Show every option, its value and where it came from"},
           show_config},
          {{.name = "version", .summary = "Show the version"}, show_version}};
}

}  // namespace t2
