#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "config/result.hpp"
#include "model/checkpoint.hpp"
#include "model/projection.hpp"
#include "model/svd.hpp"

namespace t2 {

/// The manifest of one decomposition in an SVD cache (docs/formats.md).
struct svd_manifest {
  std::string weight;
  std::int64_t out_features = 0;
  std::int64_t in_features = 0;
  std::string dtype;          // of the weight, as safetensors names it
  std::string weight_sha256;  // of its bytes
  svd_method method = svd_method::gram64;
  svd_quality quality;
  std::uint64_t file_bytes = 0;  // of the safetensors file beside it
  std::string file_sha256;

  std::string json() const;
};

/// Where the two files of an entry lie. A weight name that is no plain file
/// name is ec::invalid_argument.
struct svd_entry_paths {
  std::filesystem::path data;
  std::filesystem::path manifest;

  static result<svd_entry_paths> of(const std::filesystem::path& folder,
                                    const std::string& weight);
};

/// Reads a manifest and checks that it speaks of this projection.
result<svd_manifest> read_svd_manifest(const std::filesystem::path& path,
                                       const projection& where);

/// A decomposition as it will be written.
struct svd_entry {
  svd_manifest manifest;
  std::vector<std::byte> data;
};

/// Checks, hashes and decomposes one weight of a checkpoint.
result<svd_entry> make_svd_entry(const checkpoint& weights,
                                 const projection& where);

/// Writes the data, then the manifest that makes it count.
result<void> write_svd_entry(const svd_entry_paths& paths,
                             const svd_entry& entry);

}  // namespace t2
