#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "config/result.hpp"
#include "model/checkpoint.hpp"
#include "model/model_config.hpp"
#include "model/safetensors.hpp"

namespace t2 {

/// SHA-256 of a tensor's bytes as stored, 64 hexadecimal digits.
std::string tensor_sha256(const stored_tensor& tensor);

/// SHA-256 of every tensor by name. Reads all weights, on all cores.
std::map<std::string, std::string> tensor_digests(const checkpoint& weights);

/// Which base model this is: 64 hexadecimal digits over the canonical config
/// and name, dtype, shape and bytes of every tensor in the order of their
/// names; the same whatever the sharding (docs/formats.md). Reads all weights,
/// on all cores.
std::string base_fingerprint(const checkpoint& weights,
                             const model_config& config);
/// The same from digests that are known.
std::string base_fingerprint(const checkpoint& weights,
                             const model_config& config,
                             const std::map<std::string, std::string>& digests);

/// The same, remembered in `cache_folder`/fingerprints.json for as long as the
/// model's config and name, size, modification time and time of the last change
/// (ns) of each weight file stay the same. A cache that is missing, corrupt or
/// cannot be written costs the time to read the weights again, and is no error;
/// weight files that have gone are (ec::io). Where the folder held other
/// weights, or another tokenizer or chat template, when it was last loaded, the
/// log says so.
result<std::string> fingerprint_base(const checkpoint& weights,
                                     const model_config& config,
                                     const std::filesystem::path& cache_folder);

/// What fingerprints.json remembers of a model's folder or file.
struct remembered_base {
  std::string fingerprint;
  std::map<std::string, std::string> tensors;  // digests; none: an old entry
  std::map<std::string, std::string> texts;    // text_digests() (model_text.hpp)
};

/// Whatever the sizes and times of its files are now. nullopt: nothing.
std::optional<remembered_base> remembered_fingerprint(
    const std::filesystem::path& model,
    const std::filesystem::path& cache_folder);

}  // namespace t2
