#include <filesystem>

#include "tools/session.hpp"

namespace t2 {
namespace {

result<exit_code> check(session& here) {
  const auto api = here.api();
  if (!api) return api.error();
  const auto found = (*api)->get("/v1/store/check");
  if (!found) return found.error();
  const bool sound = found->value("ok", false);
  if (here.json()) {
    here.print_json(*found);
  } else if (sound) {
    here.out() << "The store is sound.\n";
  } else {
    for (const auto& problem : found->at("problems")) {
      here.out() << problem.get<std::string>() << "\n";
    }
  }
  return sound ? exit_code::ok : exit_code::failed;
}

result<exit_code> backup(session& here) {
  const auto api = here.api();
  if (!api) return api.error();
  // The server may run in another folder.
  std::error_code failed;
  const auto path = std::filesystem::absolute(here.positional(0), failed);
  const auto written =
      (*api)->post("/v1/store/backup", {{"path", path.string()}});
  if (!written) return written.error();
  if (here.json()) {
    here.print_json(*written);
  } else {
    here.out() << "Wrote " << written->value("path", "") << ".\n";
  }
  return exit_code::ok;
}

}  // namespace

std::vector<command_entry> store_commands() {
  return {
      {{.name = "store check", .summary = "Verify every record of the store"},
       check},
      {{.name = "store backup",
        .summary = "Copy the store while it is in use",
        .positionals = {{.name = "FILE", .help = "the copy"}}},
       backup}};
}

}  // namespace t2
