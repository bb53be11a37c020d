#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "config/result.hpp"

namespace t2 {

/// What a look at every byte of a model has found.
struct model_check {
  std::string fingerprint;  // of what the files hold now
  std::string remembered;   // when it was last loaded; empty: never
  std::size_t tensors = 0;
  std::size_t entries = 0;  // of the SVD cache, complete ones
  /// A line each that names a file, what was expected and what was found.
  std::vector<std::string> problems;
};

/// Hashes everything anew, whatever sizes and times say: the weights and the
/// files of tokenizer and template against what fingerprints.json remembers of
/// this folder, and every entry of the SVD cache of this base against its
/// manifest and the weight. Changes nothing. An error: the model cannot be
/// read at all.
result<model_check> check_model(const std::filesystem::path& folder,
                                const std::filesystem::path& svd_cache);

}  // namespace t2
