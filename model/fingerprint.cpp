#include "model/fingerprint.hpp"

#include <ATen/Parallel.h>
#include <sys/stat.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "config/durable_file.hpp"
#include "config/sha256.hpp"
#include "model/json_file.hpp"

namespace t2 {
namespace {

constexpr int cache_version = 1;
constexpr std::string_view fingerprint_version = "t2-base-1\n";

/// Size and time of each weight file; nothing where one cannot be asked.
std::optional<nlohmann::json> describe_files(const checkpoint& weights) {
  auto files = nlohmann::json::array();
  for (const auto& path : weights.files()) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return std::nullopt;
    constexpr std::int64_t billion = 1'000'000'000;
    files.push_back({
        {"name", path.filename().string()},
        {"size", status.st_size},
        {"mtime_ns",
         std::int64_t{status.st_mtim.tv_sec} * billion +
             status.st_mtim.tv_nsec},
    });
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

}  // namespace

std::string tensor_sha256(const tensor_view& view) {
  return sha256_hex(view.bytes);
}

std::string base_fingerprint(const checkpoint& weights,
                             const model_config& config) {
  std::vector<tensor_view> views;
  for (const auto& name : weights.names()) views.push_back(*weights.view(name));
  std::vector<std::string> digests(views.size());
  at::parallel_for(0, static_cast<std::int64_t>(views.size()), 1,
                   [&](std::int64_t begin, std::int64_t end) {
                     for (auto i = static_cast<std::size_t>(begin);
                          i < static_cast<std::size_t>(end); ++i)
                       digests[i] = tensor_sha256(views[i]);
                   });
  sha256 hash;
  hash.update(fingerprint_version);
  hash.update(config.canonical_json());
  for (std::size_t i = 0; i < views.size(); ++i) {
    // Lengths before names: no name can imitate another line.
    hash.update("\n" + std::to_string(views[i].name.size()) + " " +
                views[i].name + " " +
                std::string{safetensors_dtype(views[i].dtype)} + " " +
                shape_text(views[i].shape) + " " + digests[i]);
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
    if (const auto at = entries.find(key);
        at != entries.end() && at->is_object() &&
        at->value("state", nlohmann::json{}) == state &&
        is_sha256(at->value("fingerprint", nlohmann::json{})))
      return (*at)["fingerprint"].get<std::string>();

    auto fingerprint = base_fingerprint(weights, config);
    // Files that changed while they were read must not be remembered.
    if (describe_files(weights) != before) return fingerprint;
    entries[key] = {{"state", state}, {"fingerprint", fingerprint}};
    const nlohmann::json cache{{"version", cache_version},
                               {"entries", std::move(entries)}};
    std::filesystem::create_directories(cache_folder, failure);
    // A cache that cannot be written is not missed: it only saves time.
    static_cast<void>(write_file_durably(cache_file, cache.dump(1) + "\n"));
    return fingerprint;
  } catch (const nlohmann::json::exception&) {
    // A path that is not UTF-8 has no place in a JSON file.
    return base_fingerprint(weights, config);
  }
}

}  // namespace t2
