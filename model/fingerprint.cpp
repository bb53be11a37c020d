#include "model/fingerprint.hpp"

#include <ATen/Parallel.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "config/durable_file.hpp"
#include "config/logging.hpp"
#include "config/sha256.hpp"
#include "model/json_file.hpp"
#include "model/mapped_files.hpp"
#include "model/model_text.hpp"

namespace t2 {
namespace {

constexpr int cache_version = 1;
constexpr std::string_view fingerprint_version = "t2-base-1\n";

/// Size and times of each weight file; nothing where one cannot be asked.
std::optional<nlohmann::json> describe_files(const checkpoint& weights) {
  auto files = nlohmann::json::array();
  for (const auto& path : weights.source().files()) {
    const auto state = file_state::of(path);
    if (!state) return std::nullopt;
    files.push_back({{"name", path.filename().string()},
                     {"size", state->size},
                     {"mtime_ns", state->modified_ns},
                     {"ctime_ns", state->changed_ns}});
  }
  return files;
}

/// The entries of a cache file; an empty object where it is not a good one.
nlohmann::json read_entries(const std::filesystem::path& cache_file) {
  auto json = read_json_file(cache_file);
  if (json && json->value("version", nlohmann::json{}) == cache_version &&
      json->contains("entries") && (*json)["entries"].is_object())
    return (*json)["entries"];
  return nlohmann::json::object();
}

bool is_sha256(const nlohmann::json& value) {
  return value.is_string() && value.get_ref<const std::string&>().size() == 64 &&
         value.get_ref<const std::string&>().find_first_not_of(
             "0123456789abcdef") == std::string::npos;
}

std::map<std::string, std::string> digests_in(const nlohmann::json& entry,
                                              const char* key) {
  std::map<std::string, std::string> out;
  const auto at = entry.find(key);
  if (at == entry.end() || !at->is_object()) return out;
  for (const auto& [name, digest] : at->items())
    if (is_sha256(digest)) out.emplace(name, digest.get<std::string>());
  return out;
}

std::optional<remembered_base> remembered_in(const nlohmann::json& entries,
                                             const std::string& key) {
  const auto at = entries.find(key);
  if (at == entries.end() || !at->is_object() ||
      !is_sha256(at->value("fingerprint", nlohmann::json{})))
    return std::nullopt;
  return remembered_base{
      .fingerprint = (*at)["fingerprint"].get<std::string>(),
      .tensors = digests_in(*at, "tensors"),
      .texts = digests_in(*at, "texts")};
}

/// Says what a folder held when it was last loaded and holds no more.
void say_changed(const std::filesystem::path& folder,
                 const remembered_base& before, const remembered_base& now) {
  if (before.fingerprint != now.fingerprint) {
    log(log_level::warn,
        folder.string() +
            ": holds another base than when it was last loaded: fingerprint " +
            now.fingerprint + ", was " + before.fingerprint);
    return;
  }
  for (const auto& [name, digest] : before.texts) {
    const auto at = now.texts.find(name);
    if (at == now.texts.end() || at->second != digest)
      log(log_level::warn,
          text_place(folder, name) +
              ": is another than when the base was last loaded: what was "
              "adapted or trained before read other tokens");
  }
}

}  // namespace

std::string tensor_sha256(const stored_tensor& tensor) {
  return sha256_hex(tensor.bytes);
}

std::map<std::string, std::string> tensor_digests(const checkpoint& weights) {
  const auto& tensors = weights.source().tensors();
  std::vector<std::string> digests(tensors.size());
  at::parallel_for(0, static_cast<std::int64_t>(tensors.size()), 1,
                   [&](std::int64_t begin, std::int64_t end) {
                     for (auto i = static_cast<std::size_t>(begin);
                          i < static_cast<std::size_t>(end); ++i)
                       digests[i] = tensor_sha256(tensors[i]);
                   });
  std::map<std::string, std::string> out;
  for (std::size_t i = 0; i < tensors.size(); ++i)
    out.emplace(tensors[i].name, std::move(digests[i]));
  return out;
}

std::string base_fingerprint(const checkpoint& weights,
                             const model_config& config) {
  return base_fingerprint(weights, config, tensor_digests(weights));
}

std::string base_fingerprint(
    const checkpoint& weights, const model_config& config,
    const std::map<std::string, std::string>& digests) {
  sha256 hash;
  hash.update(fingerprint_version);
  hash.update(config.canonical_json());
  for (const auto& [name, digest] : digests) {
    const auto& tensor = *weights.source().find(name);
    // Lengths before names: no name can imitate another line.
    hash.update("\n" + std::to_string(name.size()) + " " + name + " " +
                std::string{tensor.type} + " " + shape_text(tensor.shape) + " " + digest);
  }
  return hash.hex();
}

result<std::string> fingerprint_base(
    const checkpoint& weights, const model_config& config,
    const std::filesystem::path& cache_folder) {
  std::error_code failure;
  const auto folder = std::filesystem::canonical(weights.folder(), failure);
  const auto before = describe_files(weights);
  if (failure || !before)
    return error{ec::io, weights.folder().string() +
                             ": expected its weight files, found them gone"};
  try {
    const auto cache_file = cache_folder / "fingerprints.json";
    const auto key = folder.string();
    const nlohmann::json state{
        {"config_sha256", sha256_hex(config.canonical_json())},
        {"files", *before}};
    auto entries = read_entries(cache_file);
    const auto known = remembered_in(entries, key);
    remembered_base now{.fingerprint = {},
                        .tensors = {},
                        .texts = text_digests(weights.folder())};
    const bool trusted =
        known && entries[key].value("state", nlohmann::json{}) == state;
    if (trusted) {
      now.fingerprint = known->fingerprint;
      now.tensors = known->tensors;
    } else {
      now.tensors = tensor_digests(weights);
      now.fingerprint = base_fingerprint(weights, config, now.tensors);
    }
    if (known) say_changed(weights.folder(), *known, now);
    if (trusted && known->texts == now.texts) return now.fingerprint;
    // Files that changed while they were read must not be remembered.
    if (describe_files(weights) != before) return now.fingerprint;
    entries[key] = {{"state", state},
                    {"fingerprint", now.fingerprint},
                    {"tensors", now.tensors},
                    {"texts", now.texts}};
    const nlohmann::json cache{{"version", cache_version},
                               {"entries", std::move(entries)}};
    std::filesystem::create_directories(cache_folder, failure);
    // A cache that cannot be written is not missed: it only saves time.
    static_cast<void>(write_file_durably(cache_file, cache.dump(1) + "\n"));
    return now.fingerprint;
  } catch (const nlohmann::json::exception&) {
    // A path that is not UTF-8 has no place in a JSON file.
    return base_fingerprint(weights, config);
  }
}

std::optional<remembered_base> remembered_fingerprint(
    const std::filesystem::path& folder,
    const std::filesystem::path& cache_folder) {
  std::error_code failure;
  const auto key = std::filesystem::canonical(folder, failure).string();
  if (failure) return std::nullopt;
  try {
    return remembered_in(read_entries(cache_folder / "fingerprints.json"),
                         key);
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

}  // namespace t2
