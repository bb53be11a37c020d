#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <mutex>
#include <optional>
#include <thread>

#include "tools/reproduce/results_page.hpp"
#include "tools/reproduce/study.hpp"
#include "tools/session.hpp"
#include "tools/this_command.hpp"

namespace t2 {
namespace {

using namespace reproduce;

std::size_t seeds_at_once(const scope& extent) {
  return std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1,
                                 extent.seeds.size());
}

/// Every seed, as many at a time as there are cores.
result<void> study_seeds(const study_settings& settings, const study_data& data,
                         const interrupt& signals, measurements& log) {
  const auto& seeds = settings.extent.seeds;
  const std::size_t workers = seeds_at_once(settings.extent);
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::optional<error> failure;
  {
    std::vector<std::jthread> threads;
    for (std::size_t w = 0; w < workers; ++w)
      threads.emplace_back([&] {
        for (std::size_t i; (i = next++) < seeds.size();) {
          const auto done = study_seed(settings, data, seeds[i], signals, log);
          const std::lock_guard lock{mutex};
          if (!done && !failure) failure = done.error();
          if (failure) return;
        }
      });
  }
  return failure ? result<void>{*failure} : result<void>{};
}

result<exit_code> run(session& here) {
  const auto& given = here.arguments();
  const std::filesystem::path work = given.get<std::string>("work");
  const std::filesystem::path assets = given.get<std::string>("assets");
  std::mutex printing;
  study_settings settings{
      .options = here.options(),
      .work = work,
      .extent =
          given.get<bool>("quick") ? scope::for_a_test() : scope::whole(),
      .tell = [&](const std::string& line) {
        const std::lock_guard lock{printing};
        here.tell(line);
      }};
  auto& model = settings.options.values.model;
  model.path = (assets / "t2-mini").string();
  model.dtype = "float32";
  model.svd_cache = (work / "svd").string();
  settings.options.values.search.iterations = settings.extent.iterations;
  settings.options.values.engine.threads = std::max<std::size_t>(
      1, std::thread::hardware_concurrency() / seeds_at_once(settings.extent));

  const auto data = study_data::prepare(work / "data", settings.extent);
  if (!data) return data.error();
  const auto log = measurements::open(work / "measurements.jsonl",
                                      settings.extent);
  if (!log) return log.error();
  const auto begin = std::chrono::steady_clock::now();
  auto studied = study_seeds(settings, *data, here.signals(), **log);
  if (studied) studied = study_costs(settings, *data, here.signals(), **log);
  if (!studied) {
    if (here.signals().signal() != 0)
      here.tell_interrupted("interrupted: what is measured is in " +
                                work.string() + " and is not measured again",
                            this_command());
    return studied.error();
  }
  const std::filesystem::path page = given.get<std::string>("out");
  if (auto written = write_results_page(page, **log, settings.extent); !written)
    return written.error();
  const double minutes = std::chrono::duration<double>(
                             std::chrono::steady_clock::now() - begin)
                             .count() /
                         60;
  if (here.json()) {
    here.print_json({{"page", page.string()}, {"minutes", minutes}});
  } else {
    char text[64];
    std::snprintf(text, sizeof text, " (%.0f minutes).\n", minutes);
    here.out() << "Wrote " << page.string() << text;
  }
  return exit_code::ok;
}

}  // namespace

std::vector<command_entry> reproduce_commands() {
  return {{{.name = "reproduce",
            .summary = "Measure the paper's claims in miniature",
            .options = {{.name = "quick",
                         .kind = option_kind::boolean,
                         .value = false,
                         .help = "one seed, little of everything: minutes, and "
                                 "wide intervals"},
                        {.name = "work",
                         .kind = option_kind::path,
                         .value = std::string{"build/reproduce"},
                         .help = "data, stores and measurements; what is there "
                                 "is not measured again",
                         .unit = "FOLDER"},
                        {.name = "out",
                         .kind = option_kind::path,
                         .value = std::string{"docs/results.md"},
                         .help = "the page of results; plots go beside it",
                         .unit = "FILE"},
                        {.name = "assets",
                         .kind = option_kind::path,
                         .value = std::string{T2_ASSETS_FOLDER},
                         .help = "the model that ships with t2",
                         .unit = "FOLDER"}}},
           run}};
}

}  // namespace t2
