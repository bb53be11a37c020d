#include <unistd.h>

#include <filesystem>

#include "config/model_path.hpp"
#include "config/terminal.hpp"
#include "tools/demo_run.hpp"
#include "tools/demo_story.hpp"
#include "tools/session.hpp"

namespace t2 {
namespace {

/// A folder of this run that goes with it, unless the user named one.
class working_folder {
 public:
  static result<working_folder> make(const std::string& wanted) {
    working_folder made;
    std::error_code failed;
    if (!wanted.empty()) {
      made.path_ = wanted;
      std::filesystem::create_directories(made.path_, failed);
    } else {
      std::string pattern =
          (std::filesystem::temp_directory_path() / "t2-demo-XXXXXX").string();
      if (!mkdtemp(pattern.data())) failed = {errno, std::generic_category()};
      made.path_ = pattern;
      made.ours_ = true;
    }
    if (failed)
      return error{ec::io, made.path_.string() +
                               ": expected a folder to work in, found: " +
                               failed.message()};
    return made;
  }
  working_folder(working_folder&& other) noexcept
      : path_(std::move(other.path_)),
        ours_(std::exchange(other.ours_, false)) {}
  ~working_folder() {
    std::error_code ignored;
    if (ours_) std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  working_folder() = default;
  std::filesystem::path path_;
  bool ours_ = false;
};

result<exit_code> demo(session& here) {
  const auto folder =
      working_folder::make(here.arguments().get<std::string>("folder"));
  if (!folder) return folder.error();
  const std::filesystem::path assets =
      here.arguments().get<std::string>("assets");
  const auto questions = static_cast<std::size_t>(
      here.arguments().get<std::int64_t>("questions"));
  const bool small = here.arguments().get<std::string>("on") == "miniature";
  const auto story = small ? miniature_story(assets, questions)
                           : smollm2_story(assets, questions);
  if (!story) return story.error();
  loaded_options options = here.options();
  options.values.model.path = model_path_of(story->model, here.env());
  if (story->search) options.values.search = *story->search;
  // As the experts were grown.
  options.values.model.dtype = "float32";
  options.values.model.svd_cache = (folder->path() / "svd").string();
  options.values.store.path = (folder->path() / "store.db").string();
  options.values.server.socket = (folder->path() / "t2.sock").string();
  if (!small && !std::filesystem::exists(options.values.model.path))
    return error{ec::not_found, "demo: the model smollm2 is not there; t2 model "
                                "add smollm2 fetches it, and --on miniature "
                                "needs none"};
  const auto told =
      run_demo({.options = options,
                .story = *story,
                .queries = static_cast<std::size_t>(
                    here.arguments().get<std::int64_t>("queries"))},
               here.signals(), [&](const std::string& line) {
                 if (!here.json()) here.out() << line << std::endl;
               });
  if (!told) return told.error();
  if (here.json()) here.print_json(*told);
  return exit_code::ok;
}

}  // namespace

std::vector<command_entry> demo_commands() {
  return {{{.name = "demo",
            .summary = "Watch a model adapt to a task that no expert was grown on",
            .options = {{.name = "on",
                         .value = std::string{"smollm2"},
                         .help = "SmolLM2-135M-Instruct (t2 model add smollm2), "
                                 "or the model of 1.4 million parameters that "
                                 "ships with t2",
                         .choices = {"smollm2", "miniature"}},
                        {.name = "assets",
                         .kind = option_kind::path,
                         .value = std::string{T2_ASSETS_FOLDER},
                         .help = "the model and the experts that ship with t2",
                         .unit = "FOLDER"},
                        {.name = "folder",
                         .kind = option_kind::path,
                         .value = std::string{},
                         .help = "keep the store here; a temporary one without",
                         .unit = "FOLDER"},
                        {.name = "questions",
                         .kind = option_kind::integer,
                         .value = std::int64_t{200},
                         .help = "of each kind to measure on",
                         .least = 1,
                         .most = 10'000},
                        {.name = "queries",
                         .kind = option_kind::integer,
                         .value = std::int64_t{40},
                         .help = "queries of the stream",
                         .least = 1,
                         .most = 10'000}}},
           demo}};
}

}  // namespace t2
