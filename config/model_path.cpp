#include "config/model_path.hpp"

#include <filesystem>
#include <fstream>
#include <optional>
#include <system_error>
#include <vector>

namespace t2 {
namespace {

namespace fs = std::filesystem;

/// Of a folder, as far as it can be read.
std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> out;
  std::error_code failed;
  for (fs::directory_iterator at(folder, failed), end; !failed && at != end;
       at.increment(failed))
    out.push_back(at->path());
  return out;
}

bool is_there(const fs::path& path) {
  std::error_code failed;
  return fs::exists(path, failed);
}

/// A hub's cache has snapshots/COMMIT, and refs/main with a commit in it.
std::optional<fs::path> snapshot_of(const fs::path& folder) {
  if (is_there(folder / "config.json")) return std::nullopt;
  const auto snapshots = entries_of(folder / "snapshots");
  std::string commit;
  std::ifstream(folder / "refs" / "main") >> commit;
  const auto main = folder / "snapshots" / commit;
  if (!commit.empty() && is_there(main)) return main;
  if (snapshots.size() == 1) return snapshots.front();
  return std::nullopt;
}

/// The one GGUF file of a fetched model.
std::optional<fs::path> fetched(const std::string& name,
                                const environment& env) {
  if (name.empty() || name.find('/') != name.npos || name.front() == '.')
    return std::nullopt;
  for (const auto& file : entries_of(fs::path(models_folder(env)) / name))
    if (file.extension() == ".gguf") return file;
  return std::nullopt;
}

}  // namespace

std::string models_folder(const environment& env) {
  return xdg_path(env, "XDG_DATA_HOME", ".local/share", "t2/models");
}

std::string model_path_of(const std::string& given, const environment& env) {
  if (given.empty()) return given;
  if (is_there(given)) return snapshot_of(given).value_or(given);
  return fetched(given, env).value_or(given);
}

}  // namespace t2
