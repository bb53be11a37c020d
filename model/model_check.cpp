#include "model/model_check.hpp"

#include <map>
#include <utility>

#include "config/sha256.hpp"
#include "model/checkpoint.hpp"
#include "model/file_mapping.hpp"
#include "model/fingerprint.hpp"
#include "model/model_config.hpp"
#include "model/model_text.hpp"
#include "model/projection.hpp"
#include "model/svd_entry.hpp"

namespace t2 {
namespace {

using digests = std::map<std::string, std::string>;

std::string digest_in(const digests& known, const std::string& name) {
  const auto at = known.find(name);
  return at == known.end() ? "none" : "sha256 " + at->second;
}

/// A line for each file with a tensor that is not what it was.
void compare_weights(const checkpoint& weights, const digests& before,
                     const digests& now, std::vector<std::string>& problems) {
  struct changes {
    std::size_t tensors = 0, changed = 0;
    std::string first;
  };
  std::map<std::filesystem::path, changes> by_file;
  for (const auto& [name, digest] : now) {
    auto& of = by_file[weights.source().find(name)->file];
    ++of.tensors;
    if (digest_in(before, name) == "sha256 " + digest) continue;
    if (of.changed++ == 0) of.first = name;
  }
  for (const auto& [file, of] : by_file) {
    if (of.changed == 0) continue;
    problems.push_back(file.string() + ": " + std::to_string(of.changed) +
                       " of " + std::to_string(of.tensors) +
                       " tensors are not those that were loaded last; '" +
                       of.first + "': expected " +
                       digest_in(before, of.first) + ", found " +
                       digest_in(now, of.first));
  }
  for (const auto& [name, digest] : before)
    if (!now.contains(name))
      problems.push_back(weights.folder().string() + ": tensor '" + name +
                         "': expected sha256 " + digest + ", found none");
}

void compare_texts(const std::filesystem::path& folder, const digests& before,
                   std::vector<std::string>& problems) {
  const auto now = text_digests(folder);
  auto names = before;
  names.insert(now.begin(), now.end());
  for (const auto& [name, digest] : names) {
    const auto expected = digest_in(before, name);
    const auto found = digest_in(now, name);
    if (expected == found) continue;
    problems.push_back(text_place(folder, name) + ": expected " + expected +
                       " (as it was last loaded), found " + found);
  }
}

/// True: there is an entry. Its faults go to `problems`.
bool check_entry(const std::filesystem::path& cache, const projection& where,
                 const digests& weights, std::vector<std::string>& problems) {
  const auto paths = svd_entry_paths::of(cache, where.weight);
  if (!paths) return false;
  const auto manifest = read_svd_manifest(paths->manifest, where);
  if (!manifest) {
    // Without a manifest there is no entry: it is computed when it is needed.
    if (manifest.error().code == ec::not_found) return false;
    problems.push_back(manifest.error().message);
    return true;
  }
  if (const auto weight = digest_in(weights, where.weight);
      weight != "sha256 " + manifest->weight_sha256)
    problems.push_back(paths->manifest.string() + ": weight_sha256: expected " +
                       weight + " (the checkpoint's), found " +
                       manifest->weight_sha256);
  const auto file = file_mapping::open(paths->data);
  if (!file) {
    problems.push_back(file.error().message);
    return true;
  }
  const auto bytes = (*file)->bytes();
  if (bytes.size() != manifest->file_bytes) {
    problems.push_back(paths->data.string() + ": expected " +
                       std::to_string(manifest->file_bytes) +
                       " bytes (by its manifest), found " +
                       std::to_string(bytes.size()));
  } else if (const auto found = sha256_hex(bytes);
             found != manifest->file_sha256) {
    problems.push_back(paths->data.string() + ": expected sha256 " +
                       manifest->file_sha256 + " (by its manifest), found " +
                       found);
  }
  return true;
}

}  // namespace

result<model_check> check_model(const std::filesystem::path& folder,
                                const std::filesystem::path& svd_cache) {
  const auto config = read_model_config(folder);
  if (!config) return config.error();
  const auto weights = checkpoint::open(folder);
  if (!weights) return weights.error();
  const auto now = tensor_digests(*weights);
  model_check out{.fingerprint = base_fingerprint(*weights, *config, now),
                  .remembered = {},
                  .tensors = now.size(),
                  .entries = 0,
                  .problems = {}};
  if (const auto before = remembered_fingerprint(folder, svd_cache)) {
    out.remembered = before->fingerprint;
    if (!before->tensors.empty())
      compare_weights(*weights, before->tensors, now, out.problems);
    if (out.remembered != out.fingerprint && out.problems.empty())
      out.problems.push_back(folder.string() + ": expected fingerprint " +
                             out.remembered + " (as it was last loaded), found " +
                             out.fingerprint);
    // An entry of an earlier version remembers no texts.
    if (!before->tensors.empty())
      compare_texts(folder, before->texts, out.problems);
  }
  const auto& base = out.remembered.empty() ? out.fingerprint : out.remembered;
  const svf_layout layout{*config, svf_targets::all};
  for (const projection& where : layout.projections())
    if (check_entry(svd_cache / base, where, now, out.problems)) ++out.entries;
  return out;
}

}  // namespace t2
