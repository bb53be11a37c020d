#include "model/svd_cache.hpp"

#include <ATen/Parallel.h>

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "config/sha256.hpp"
#include "model/file_lock.hpp"
#include "model/file_mapping.hpp"
#include "model/fingerprint.hpp"
#include "model/safetensors.hpp"
#include "model/svd_entry.hpp"

namespace t2 {
namespace {

std::filesystem::path lock_path(const std::filesystem::path& folder) {
  return folder / ".lock";
}

bool is_sha256(const std::string& text) {
  return text.size() == 64 &&
         text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

/// LAPACK gains little from a second thread on a matrix of this size and
/// below, so several are decomposed side by side instead.
constexpr std::int64_t side_by_side_rank = 2048;

/// How many of the first projections to decompose at once.
std::size_t batch_size(const std::deque<projection>& waiting) {
  constexpr std::uint64_t max_bytes = std::uint64_t{1} << 30;
  // The weight, its copy and Gram matrix in float64, the factors and their
  // serialised bytes: about twelve times its float32 size.
  constexpr std::uint64_t bytes_per_element = 48;
  const auto threads = static_cast<std::size_t>(at::get_num_threads());
  std::size_t count = 0;
  std::uint64_t bytes = 0;
  for (const auto& p : waiting) {
    bytes += static_cast<std::uint64_t>(p.out_features * p.in_features) *
             bytes_per_element;
    const bool fits = bytes <= max_bytes && p.rank() <= side_by_side_rank;
    if (count > 0 && (!fits || count == threads)) break;
    ++count;
    if (!fits) break;
  }
  return count;
}

std::vector<result<svd_entry>> make_entries(
    const checkpoint& weights, const std::vector<projection>& projections) {
  std::vector<result<svd_entry>> entries(
      projections.size(), error{ec::internal, "svd: not decomposed"});
  if (projections.size() == 1) {  // outside of parallel_for: all threads
    entries[0] = make_svd_entry(weights, projections[0]);
    return entries;
  }
  at::parallel_for(0, static_cast<std::int64_t>(projections.size()), 1,
                   [&](std::int64_t begin, std::int64_t end) {
                     for (auto i = static_cast<std::size_t>(begin);
                          i < static_cast<std::size_t>(end); ++i)
                       entries[i] = make_svd_entry(weights, projections[i]);
                   });
  return entries;
}

}  // namespace

/// Weight -> the data file that this process has verified: its checksum, and
/// its state before it was read.
struct svd_cache::verified_entries {
  struct entry {
    std::string sha256;
    file_state state;
  };
  std::mutex mutex;
  std::map<std::string, entry> of;
};

svd_cache::svd_cache(std::filesystem::path folder,
                     std::shared_ptr<verified_entries> verified)
    : folder_{std::move(folder)}, verified_{std::move(verified)} {}

result<svd_cache> svd_cache::open(const std::filesystem::path& root,
                                  const std::string& base_fingerprint) {
  if (!is_sha256(base_fingerprint))
    return error{ec::invalid_argument,
                 "svd cache: expected a base fingerprint of 64 hexadecimal "
                 "digits, found '" +
                     base_fingerprint + "'"};
  auto folder = root / base_fingerprint;
  std::error_code failure;
  std::filesystem::create_directories(folder, failure);
  if (failure)
    return error{ec::io, folder.string() + ": expected a folder, found: " +
                             failure.message()};
  return svd_cache{std::move(folder), std::make_shared<verified_entries>()};
}

result<svd_factors> svd_cache::load_unlocked(const projection& where) const {
  const auto paths = svd_entry_paths::of(folder_, where.weight);
  if (!paths) return paths.error();
  const auto manifest = read_svd_manifest(paths->manifest, where);
  if (!manifest) return manifest.error();
  const auto state = file_state::of(paths->data);
  const auto file = safetensors_file::open(paths->data);
  if (!file)
    return error{file.error().code == ec::not_found ? ec::corrupt
                                                    : file.error().code,
                 file.error().message};
  const auto corrupt = [&](const std::string& expected,
                           const std::string& found) {
    return error{ec::corrupt, paths->data.string() + ": expected " + expected +
                                  " (by its manifest), found " + found};
  };
  if (file->bytes().size() != manifest->file_bytes)
    return corrupt(std::to_string(manifest->file_bytes) + " bytes",
                   std::to_string(file->bytes().size()));
  {
    const std::lock_guard lock{verified_->mutex};
    auto& verified = verified_->of[where.weight];
    if (verified.sha256 != manifest->file_sha256 || !state ||
        verified.state != *state) {
      const auto found = sha256_hex(file->bytes());
      if (found != manifest->file_sha256)
        return corrupt("sha256 " + manifest->file_sha256, found);
      verified = {found, state ? *state : file_state{}};
    }
  }
  svd_factors factors;
  const auto take = [&](const char* name, at::Tensor& out,
                        std::vector<std::int64_t> shape) -> result<void> {
    auto tensor = file->tensor(name);
    if (!tensor) return error{ec::corrupt, tensor.error().message};
    if (tensor->scalar_type() != at::kFloat || tensor->sizes() != shape)
      return corrupt(std::string{"F32 "} + shape_text(shape) + " as " + name,
                     std::string{safetensors_dtype(tensor->scalar_type())} +
                         " " + shape_text(tensor->sizes()));
    out = *std::move(tensor);
    return {};
  };
  const auto r = where.rank();
  if (auto done = take("u", factors.u_mr, {where.out_features, r}); !done)
    return done.error();
  if (auto done = take("s", factors.s_r, {r}); !done) return done.error();
  if (auto done = take("v", factors.v_nr, {where.in_features, r}); !done)
    return done.error();
  return factors;
}

result<svd_factors> svd_cache::load(const projection& where) const {
  auto factors = load_unlocked(where);
  if (factors || factors.error().code != ec::corrupt) return factors;
  // A writer may stand between data and manifest: look again when it is done.
  const auto lock = file_lock::take(lock_path(folder_), where.weight,
                                    file_lock::kind::shared);
  return lock ? load_unlocked(where) : factors;
}

result<svd_factors> svd_cache::load_or_compute(const checkpoint& weights,
                                               const projection& where) const {
  const auto missing = [](const result<svd_factors>& loaded) {
    return !loaded && (loaded.error().code == ec::not_found ||
                       loaded.error().code == ec::corrupt);
  };
  if (auto loaded = load_unlocked(where); !missing(loaded)) return loaded;
  const auto lock = file_lock::take(lock_path(folder_), where.weight,
                                    file_lock::kind::exclusive);
  if (!lock) return lock.error();
  // Whoever had the lock may have made it.
  if (auto loaded = load_unlocked(where); !missing(loaded)) return loaded;
  const auto entry = make_svd_entry(weights, where);
  if (!entry) return entry.error();
  const auto paths = svd_entry_paths::of(folder_, where.weight);
  if (!paths) return paths.error();
  if (auto written = write_svd_entry(*paths, *entry); !written)
    return written.error();
  return load_unlocked(where);
}

bool svd_cache::is_present(const projection& where,
                           std::uint64_t* bytes) const {
  const auto paths = svd_entry_paths::of(folder_, where.weight);
  if (!paths) return false;
  const auto manifest = read_svd_manifest(paths->manifest, where);
  if (!manifest) return false;
  std::error_code failure;
  const auto size = std::filesystem::file_size(paths->data, failure);
  if (bytes) *bytes = size;
  return !failure && size == manifest->file_bytes;
}

result<void> svd_cache::fill(
    const checkpoint& weights, std::span<const projection> projections,
    const std::function<bool(std::size_t, std::size_t)>& progress) const {
  std::deque<projection> waiting;
  for (const auto& p : projections)
    if (!is_present(p, nullptr)) waiting.push_back(p);
  auto done = projections.size() - waiting.size();
  const auto report = [&]() -> result<void> {
    if (!progress || progress(done, projections.size())) return {};
    return error{ec::cancelled, "svd: cancelled after " + std::to_string(done) +
                                    " of " +
                                    std::to_string(projections.size()) +
                                    " projections"};
  };
  if (auto go = report(); !go) return go;

  std::deque<projection> elsewhere;  // being computed by another process
  while (!waiting.empty()) {
    std::vector<projection> batch;
    std::vector<file_lock> locks;
    const auto wanted = batch_size(waiting);
    while (!waiting.empty() && batch.size() < wanted) {
      auto p = std::move(waiting.front());
      waiting.pop_front();
      auto lock = file_lock::try_take(lock_path(folder_), p.weight,
                                      file_lock::kind::exclusive);
      if (!lock) return lock.error();
      if (!*lock) {
        elsewhere.push_back(std::move(p));
      } else if (is_present(p, nullptr)) {  // made since the first look
        ++done;
        if (auto go = report(); !go) return go;
      } else {
        batch.push_back(std::move(p));
        locks.push_back(**std::move(lock));
      }
    }
    if (batch.empty()) continue;
    const auto entries = make_entries(weights, batch);
    // All are written before anybody may cancel: the work has been done.
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (!entries[i]) return entries[i].error();
      const auto paths = svd_entry_paths::of(folder_, batch[i].weight);
      if (!paths) return paths.error();
      if (auto written = write_svd_entry(*paths, *entries[i]); !written)
        return written;
    }
    locks.clear();
    for (std::size_t i = 0; i < batch.size(); ++i) {
      ++done;
      if (auto go = report(); !go) return go;
    }
  }
  for (const auto& p : elsewhere) {
    if (auto made = load_or_compute(weights, p); !made) return made.error();
    ++done;
    if (auto go = report(); !go) return go;
  }
  return {};
}

result<svd_quality> svd_cache::verify(const checkpoint& weights,
                                      const projection& where) const {
  {
    const std::lock_guard lock{verified_->mutex};
    verified_->of.erase(where.weight);
  }
  const auto factors = load(where);
  if (!factors) return factors.error();
  const auto paths = svd_entry_paths::of(folder_, where.weight);
  if (!paths) return paths.error();
  const auto manifest = read_svd_manifest(paths->manifest, where);
  if (!manifest) return manifest.error();
  const std::vector shape{where.out_features, where.in_features};
  const auto weight = weights.tensor(where.weight, shape);
  if (!weight) return weight.error();
  const auto view = weights.view(where.weight);
  if (!view) return view.error();
  if (const auto found = tensor_sha256(*view);
      found != manifest->weight_sha256)
    return error{ec::incompatible,
                 paths->manifest.string() + ": weight_sha256: expected " +
                     found + " (the checkpoint's), found " +
                     manifest->weight_sha256};
  const auto quality = measure_svd(*weight, *factors);
  if (!quality.acceptable())
    return error{ec::corrupt,
                 paths->data.string() +
                     ": expected factors of the weight, found a relative "
                     "error of " +
                     std::to_string(quality.reconstruction)};
  return quality;
}

bool svd_cache::still_holds(const std::filesystem::path& file) const {
  std::string expected;
  {
    const std::lock_guard lock{verified_->mutex};
    const auto at = verified_->of.find(file.stem().string());
    if (at == verified_->of.end()) return false;
    expected = at->second.sha256;
  }
  const auto mapping = file_mapping::open(file);
  return mapping && sha256_hex((*mapping)->bytes()) == expected;
}

svd_cache_status svd_cache::status(
    std::span<const projection> projections) const {
  svd_cache_status status{.present = 0, .total = projections.size(),
                          .bytes = 0};
  for (const auto& p : projections) {
    std::uint64_t bytes = 0;
    if (!is_present(p, &bytes)) continue;
    ++status.present;
    status.bytes += bytes;
  }
  return status;
}

}  // namespace t2
