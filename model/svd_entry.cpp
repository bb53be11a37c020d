#include "model/svd_entry.hpp"

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "config/durable_file.hpp"
#include "config/sha256.hpp"
#include "model/fingerprint.hpp"
#include "model/json_file.hpp"
#include "model/safetensors.hpp"

namespace t2 {
namespace {

constexpr int manifest_version = 1;

bool is_plain_name(const std::string& name) {
  constexpr std::size_t longest = 200;  // leaves room for the endings
  if (name.empty() || name.front() == '.' || name.size() > longest)
    return false;
  return name.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
             "._-") == std::string::npos;
}

}  // namespace

std::string svd_manifest::json() const {
  const nlohmann::json json{
      {"version", manifest_version},
      {"weight", weight},
      {"shape", {out_features, in_features}},
      {"dtype", dtype},
      {"weight_sha256", weight_sha256},
      {"method", to_string(method)},
      {"reconstruction_error", quality.reconstruction},
      {"orthogonality_u", quality.orthogonality_u},
      {"orthogonality_v", quality.orthogonality_v},
      {"file_bytes", file_bytes},
      {"file_sha256", file_sha256},
  };
  return json.dump(1) + "\n";
}

result<svd_entry_paths> svd_entry_paths::of(const std::filesystem::path& folder,
                                            const std::string& weight) {
  if (!is_plain_name(weight))
    return error{ec::invalid_argument,
                 "svd cache: expected a weight name of letters, digits, '.', "
                 "'_' and '-', found '" +
                     weight + "'"};
  return svd_entry_paths{.data = folder / (weight + ".safetensors"),
                         .manifest = folder / (weight + ".json")};
}

result<svd_manifest> read_svd_manifest(const std::filesystem::path& path,
                                       const projection& where) {
  constexpr std::size_t max_bytes = 1 << 16;
  const auto json = read_json_file(path, max_bytes);
  if (!json) {
    if (json.error().code == ec::exhausted)
      return error{ec::corrupt, json.error().message};
    return json.error();
  }
  const auto corrupt = [&](const char* key, const std::string& expected) {
    const auto at = json->find(key);
    return error{ec::corrupt,
                 path.string() + ": " + key + ": expected " + expected +
                     ", found " +
                     (at == json->end()
                          ? "none"
                          : at->dump(-1, ' ', true,
                                     nlohmann::json::error_handler_t::replace))};
  };
  try {
    svd_manifest out;
    if (json->at("version") != manifest_version)
      return corrupt("version", std::to_string(manifest_version));
    out.weight = json->at("weight").get<std::string>();
    if (out.weight != where.weight)
      return corrupt("weight", "\"" + where.weight + "\"");
    const nlohmann::json shape{where.out_features, where.in_features};
    if (json->at("shape") != shape) return corrupt("shape", shape.dump());
    out.out_features = where.out_features;
    out.in_features = where.in_features;
    out.dtype = json->at("dtype").get<std::string>();
    out.weight_sha256 = json->at("weight_sha256").get<std::string>();
    const auto method =
        parse_svd_method(json->at("method").get<std::string>());
    if (!method) return corrupt("method", "gram64, gesdd or gesdd64");
    out.method = *method;
    out.quality.reconstruction = json->at("reconstruction_error").get<double>();
    out.quality.orthogonality_u = json->at("orthogonality_u").get<double>();
    out.quality.orthogonality_v = json->at("orthogonality_v").get<double>();
    out.file_bytes = json->at("file_bytes").get<std::uint64_t>();
    out.file_sha256 = json->at("file_sha256").get<std::string>();
    return out;
  } catch (const nlohmann::json::exception& problem) {
    return error{ec::corrupt, path.string() +
                                  ": expected the manifest of a "
                                  "decomposition, found " +
                                  problem.what()};
  }
}

result<svd_entry> make_svd_entry(const checkpoint& weights,
                                 const projection& where) {
  const std::array shape{where.out_features, where.in_features};
  const auto weight = weights.tensor(where.weight, shape);
  if (!weight) return weight.error();
  const auto view = weights.view(where.weight);
  if (!view) return view.error();
  const auto found = decompose_checked(*weight);
  if (!found)
    return error{found.error().code,
                 where.weight + ": " + found.error().message};
  auto data = serialise_safetensors({{"u", found->factors.u_mr},
                                     {"s", found->factors.s_r},
                                     {"v", found->factors.v_nr}},
                                    {{"format", "t2-svd-1"},
                                     {"weight", where.weight}});
  if (!data) return data.error();
  svd_entry entry;
  entry.data = *std::move(data);
  entry.manifest = {.weight = where.weight,
                    .out_features = where.out_features,
                    .in_features = where.in_features,
                    .dtype = std::string{view->type},
                    .weight_sha256 = tensor_sha256(*view),
                    .method = found->method,
                    .quality = found->quality,
                    .file_bytes = entry.data.size(),
                    .file_sha256 = sha256_hex(entry.data)};
  return entry;
}

result<void> write_svd_entry(const svd_entry_paths& paths,
                             const svd_entry& entry) {
  if (auto written = write_file_durably(paths.data, entry.data); !written)
    return written;
  return write_file_durably(paths.manifest, entry.manifest.json());
}

}  // namespace t2
