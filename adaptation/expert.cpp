#include "adaptation/expert.hpp"

#include <ATen/ops/empty.h>

#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "config/jsonl.hpp"
#include "model/safetensors.hpp"

namespace t2 {
namespace {

constexpr const char* format_name = "t2-expert-1";
constexpr const char* prefix = "z.";
constexpr const char* seen_key = "seen_prompts";

error corrupt(const std::string& label, const std::string& what) {
  return {ec::corrupt, label + ": " + what};
}

result<expert_header> header_of(const safetensors_file& file,
                                const std::string& label) {
  const auto& metadata = file.metadata();
  const auto get = [&](const char* key) -> std::optional<std::string> {
    const auto found = metadata.find(key);
    if (found == metadata.end()) return std::nullopt;
    return found->second;
  };
  const auto format = get("format");
  if (!format || *format != format_name)
    return corrupt(label, std::string{"metadata format: expected "} +
                              format_name + ", found " +
                              (format ? "'" + *format + "'" : "none"));
  for (const char* key : {"base", "norm", "targets"})
    if (!get(key))
      return corrupt(label,
                     std::string{"metadata "} + key + ": expected, found none");
  expert_header header;
  header.base = *get("base");
  const auto norm = parse_svf_norm(*get("norm"));
  if (!norm) return corrupt(label, "metadata " + norm.error().message);
  header.norm = *norm;
  const auto targets = parse_svf_targets(*get("targets"));
  if (!targets) return corrupt(label, "metadata " + targets.error().message);
  header.targets = *targets;
  if (const auto provenance = get("provenance")) {
    if (!parse_json(*provenance))
      return corrupt(label, "metadata provenance: expected JSON");
    header.provenance = *provenance;
  }
  if (const auto seen = get(seen_key)) {
    header.seen = seen_prompts::parse(*seen);
    if (!header.seen)
      return corrupt(label, std::string{"metadata "} + seen_key +
                                ": expected ascending hashes of 16 "
                                "hexadecimal digits each");
  }
  return header;
}

result<safetensors_file> open_bytes(std::span<const std::byte> bytes,
                                    const std::string& label) {
  return safetensors_file::parse({bytes.begin(), bytes.end()}, label);
}

}  // namespace

result<std::vector<std::byte>> serialise_expert(const expert& e,
                                                const model_config& config) {
  const svf_layout layout{config, e.targets};
  if (e.z.numel() != layout.total())
    return error{ec::invalid_argument,
                 "expert " + e.name + ": expected z of " +
                     std::to_string(layout.total()) + " entries, found " +
                     std::to_string(e.z.numel())};
  std::map<std::string, at::Tensor> tensors;
  for (std::size_t p = 0; p < layout.size(); ++p) {
    const projection& part = layout.projections()[p];
    tensors[prefix + part.weight] =
        e.z.narrow(0, layout.offset(p), part.rank());
  }
  std::map<std::string, std::string> metadata{
      {"format", format_name},
      {"base", e.base},
      {"norm", std::string{to_string(e.norm)}},
      {"targets", e.targets.text()},
      {"provenance", e.provenance}};
  if (e.seen) metadata[seen_key] = e.seen->text();
  return serialise_safetensors(tensors, metadata);
}

result<expert_header> read_expert_header(std::span<const std::byte> bytes,
                                         const std::string& label) {
  const auto file = open_bytes(bytes, label);
  if (!file) return file.error();
  return header_of(*file, label);
}

result<expert> parse_expert(std::span<const std::byte> bytes,
                            const std::string& label,
                            const model_config& config,
                            std::string_view fingerprint) {
  const auto file = open_bytes(bytes, label);
  if (!file) return file.error();
  const auto header = header_of(*file, label);
  if (!header) return header.error();
  if (header->base != fingerprint)
    return error{ec::incompatible, label + ": expected an expert of base " +
                                       std::string{fingerprint} +
                                       ", found one of base " + header->base};
  if (const auto fits = header->targets.check(config); !fits)
    return corrupt(label, "metadata " + fits.error().message);
  const svf_layout layout{config, header->targets};
  expert e{.name = {},
           .version = 0,
           .base = header->base,
           .norm = header->norm,
           .targets = header->targets,
           .z = at::empty({layout.total()}, at::kFloat),
           .provenance = header->provenance,
          .seen = header->seen};
  auto* z = e.z.mutable_data_ptr<float>();
  std::map<std::string_view, const tensor_view*> found;
  for (const tensor_view& view : file->tensors()) found[view.name] = &view;
  for (std::size_t p = 0; p < layout.size(); ++p) {
    const std::string name = prefix + layout.projections()[p].weight;
    const std::int64_t rank = layout.projections()[p].rank();
    const auto at = found.find(name);
    if (at == found.end())
      return corrupt(label, name + ": expected a tensor, found none");
    const tensor_view& view = *at->second;
    if (view.dtype != at::kFloat || view.shape != std::vector{rank})
      return corrupt(label,
                     name + ": expected F32 " + shape_text(std::vector{rank}) +
                         ", found " +
                         std::string{safetensors_dtype(view.dtype)} + " " +
                         shape_text(view.shape));
    float* part = z + layout.offset(p);
    std::memcpy(part, view.bytes.data(), view.bytes.size());
    for (std::int64_t i = 0; i < rank; ++i)
      if (!std::isfinite(part[i]))
        return corrupt(label, name + ": expected finite values, found " +
                                  std::to_string(part[i]) + " at " +
                                  std::to_string(i));
    found.erase(at);
  }
  if (!found.empty())
    return corrupt(label, std::string{found.begin()->first} +
                              ": expected no such tensor under targets " +
                              header->targets.text());
  return e;
}

}  // namespace t2
