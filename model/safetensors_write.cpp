#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "config/durable_file.hpp"
#include "model/safetensors.hpp"

namespace t2 {
namespace {

constexpr std::size_t length_bytes = 8;
constexpr std::size_t data_alignment = 64;  // a cache line, AVX-512's width

struct item {
  const std::string* name;
  at::Tensor tensor;
};

/// Built by hand: the order of the entries is part of the bytes.
result<std::string> header_text(
    const std::vector<item>& items,
    const std::map<std::string, std::string>& metadata) {
  std::string text = "{";
  const auto comma = [&] { text += text.size() > 1 ? "," : ""; };
  try {
    const auto quoted = [](const std::string& raw) {
      return nlohmann::json(raw).dump();
    };
    if (!metadata.empty())
      text += "\"__metadata__\":" + nlohmann::json(metadata).dump();
    std::size_t offset = 0;
    for (const auto& [name, tensor] : items) {
      comma();
      nlohmann::json shape = nlohmann::json::array();
      for (const auto size : tensor.sizes()) shape.push_back(size);
      text += quoted(*name) + ":{\"dtype\":\"" +
              std::string{safetensors_dtype(tensor.scalar_type())} +
              "\",\"shape\":" + shape.dump() + ",\"data_offsets\":[" +
              std::to_string(offset) + "," +
              std::to_string(offset + tensor.nbytes()) + "]}";
      offset += tensor.nbytes();
    }
  } catch (const nlohmann::json::exception&) {
    return error{ec::invalid_argument,
                 "safetensors: expected names and metadata in UTF-8, found "
                 "other bytes"};
  }
  text += "}";
  const auto unpadded = length_bytes + text.size();
  text.append((data_alignment - unpadded % data_alignment) % data_alignment,
              ' ');
  return text;
}

}  // namespace

result<std::vector<std::byte>> serialise_safetensors(
    const std::map<std::string, at::Tensor>& tensors,
    const std::map<std::string, std::string>& metadata) {
  std::vector<item> items;
  std::size_t data_size = 0;
  for (const auto& [name, tensor] : tensors) {
    if (name == "__metadata__" || !tensor.defined() ||
        safetensors_dtype(tensor.scalar_type()).empty())
      return error{ec::invalid_argument,
                   "safetensors: tensor '" + name +
                       "': expected a dtype of the format and a free name"};
    items.push_back({&name, tensor.detach().cpu().contiguous()});
    data_size += items.back().tensor.nbytes();
  }
  // Wide elements first keeps every tensor aligned without gaps.
  std::stable_sort(items.begin(), items.end(), [](const auto& a, const auto& b) {
    return a.tensor.element_size() > b.tensor.element_size();
  });
  const auto header = header_text(items, metadata);
  if (!header) return header.error();

  std::vector<std::byte> bytes(length_bytes + header->size() + data_size);
  auto* out = bytes.data();
  for (std::size_t i = 0; i < length_bytes; ++i)
    *out++ = static_cast<std::byte>(header->size() >> (8 * i) & 0xff);
  std::memcpy(out, header->data(), header->size());
  out += header->size();
  for (const auto& [name, tensor] : items) {
    if (tensor.nbytes() == 0) continue;
    std::memcpy(out, tensor.const_data_ptr(), tensor.nbytes());
    out += tensor.nbytes();
  }
  return bytes;
}

result<void> write_safetensors(
    const std::filesystem::path& path,
    const std::map<std::string, at::Tensor>& tensors,
    const std::map<std::string, std::string>& metadata) {
  const auto bytes = serialise_safetensors(tensors, metadata);
  if (!bytes)
    return error{bytes.error().code,
                 path.string() + ": " + bytes.error().message};
  return write_file_durably(path, *bytes);
}

}  // namespace t2
