#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "config/result.hpp"
#include "model/checkpoint.hpp"
#include "model/projection.hpp"
#include "model/svd.hpp"

namespace t2 {

struct svd_cache_status {
  std::size_t present = 0;
  std::size_t total = 0;
  std::uint64_t bytes = 0;  // of the present ones, on disk
};

/// The decompositions of one base model on disk: a folder per base
/// fingerprint, a safetensors file and a manifest per weight (docs/formats.md).
/// Processes may fill and read one cache at once; each entry is written whole,
/// so that a fill killed at any instant is resumed by the next. A cheap value;
/// copies share what has been verified. Any thread.
class svd_cache {
 public:
  /// Makes `root`/`base_fingerprint`.
  static result<svd_cache> open(const std::filesystem::path& root,
                                const std::string& base_fingerprint);

  const std::filesystem::path& folder() const { return folder_; }

  /// The factors, mapped from disk. The file's checksum is verified once per
  /// process and state of the file. ec::not_found where there is no entry, ec::corrupt where it does
  /// not verify.
  result<svd_factors> load(const projection& where) const;

  /// Loads; decomposes and stores first what is missing or does not verify.
  result<svd_factors> load_or_compute(const checkpoint& weights,
                                      const projection& where) const;

  /// Computes all entries that are missing (or whose size is wrong), as many
  /// at once as there are threads; those that another process is computing
  /// come last. `progress(done, total)` counts entries that are there, is
  /// called at the start and after each entry, on the caller's thread; false
  /// from it ends the fill with ec::cancelled.
  result<void> fill(const checkpoint& weights,
                    std::span<const projection> projections,
                    const std::function<bool(std::size_t, std::size_t)>&
                        progress = {}) const;

  /// Reads everything again: checksum, that the entry belongs to this weight,
  /// and how well the factors give it back.
  result<svd_quality> verify(const checkpoint& weights,
                             const projection& where) const;

  /// Whether a data file of this cache still holds the bytes that this process
  /// has verified. False too for one that it has not.
  bool still_holds(const std::filesystem::path& file) const;

  /// By manifests and file sizes alone.
  svd_cache_status status(std::span<const projection> projections) const;

 private:
  struct verified_entries;

  svd_cache(std::filesystem::path folder,
            std::shared_ptr<verified_entries> verified);

  result<svd_factors> load_unlocked(const projection& where) const;
  bool is_present(const projection& where, std::uint64_t* bytes) const;

  std::filesystem::path folder_;
  std::shared_ptr<verified_entries> verified_;
};

}  // namespace t2
