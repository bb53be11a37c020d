#include "model/model_watch.hpp"

#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "config/logging.hpp"
#include "model/fingerprint.hpp"
#include "model/language_model.hpp"

namespace t2 {
namespace {

error changed(const std::filesystem::path& path, const std::string& found) {
  return {ec::corrupt, path.string() +
                           ": expected the bytes that were loaded, found the "
                           "file " +
                           found + " in place while it was in use"};
}

/// Reads the suspects anew, through what is mapped of them.
result<void> read_anew(const language_model& model,
                       const std::vector<std::filesystem::path>& files) {
  at::set_num_threads(1);  // of this thread: the engine has the others
  const auto weights = model.weights().source().files();
  const std::filesystem::path* shard = nullptr;
  for (const auto& file : files) {
    if (std::ranges::find(weights, file) != weights.end()) {
      shard = &file;
    } else if (!model.decompositions().still_holds(file)) {
      return changed(file, "overwritten");
    }
  }
  if (shard && base_fingerprint(model.weights(), model.config()) !=
                   model.fingerprint())
    return changed(*shard, "overwritten");
  return {};
}

}  // namespace

model_watch::model_watch(std::shared_ptr<const language_model> model)
    : model_(std::move(model)) {}

result<void> model_watch::look() {
  if (auto concluded = conclude(); !concluded) return concluded;
  suspects differ;
  for (const mapped_file& file : mapped_files())
    if (auto fine = look_at(file, differ); !fine) return fine;
  if (differ.empty() || read_.valid()) return {};
  reading_ = std::move(differ);
  std::vector<std::filesystem::path> files;
  for (const auto& [path, state] : reading_) files.push_back(path);
  read_ = std::async(std::launch::async,
                     [model = model_, files = std::move(files)] {
                       return read_anew(*model, files);
                     });
  return {};
}

result<void> model_watch::look_at(const mapped_file& file, suspects& differ) {
  const auto weights = model_->weights().source().files();
  const bool ours =
      std::ranges::find(weights, file.path) != weights.end() ||
      file.path.parent_path() == model_->decompositions().folder();
  if (!ours || left_.contains(file.path)) return {};
  const auto now = file_state::of(file.path);
  if (!now || !now->same_file(file.state)) {
    // Not for the SVD cache: entries are replaced there in the normal course.
    const bool shard = std::ranges::find(weights, file.path) != weights.end();
    if (shard)
      log(log_level::warn,
          file.path.string() + ": was " + (now ? "replaced" : "removed") +
              "; what was loaded stays in use until the next start");
    left_.insert(file.path);
    return {};
  }
  if (now->size < file.state.size)
    return changed(file.path, "shortened from " +
                                  std::to_string(file.state.size) + " to " +
                                  std::to_string(now->size) + " bytes");
  const auto accepted = accepted_.find(file.path);
  const bool known = *now == file.state ||
                     (accepted != accepted_.end() && accepted->second == *now);
  if (!known) differ.emplace(file.path, *now);
  return {};
}

result<void> model_watch::conclude() {
  using namespace std::chrono_literals;
  if (!read_.valid() || read_.wait_for(0s) != std::future_status::ready)
    return {};
  if (auto same = read_.get(); !same) return same;
  // As they were before they were read: what came since is looked at again.
  for (auto& [path, state] : reading_) {
    log(log_level::info, path.string() + ": has other times or another size, "
                                         "and still the bytes that were loaded");
    accepted_[path] = state;
  }
  reading_.clear();
  return {};
}

void model_watch::wait() const {
  if (read_.valid()) read_.wait();
}

}  // namespace t2
