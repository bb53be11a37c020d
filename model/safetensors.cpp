#include "model/safetensors.hpp"

#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <utility>

#include "model/file_mapping.hpp"
#include "model/safetensors_header.hpp"

namespace t2 {
namespace {

struct dtype_name {
  at::ScalarType dtype;
  std::string_view name;
  std::uint64_t size;
};

constexpr std::array<dtype_name, 10> dtype_names{{
    {at::ScalarType::Double, "F64", 8},
    {at::ScalarType::Float, "F32", 4},
    {at::ScalarType::Half, "F16", 2},
    {at::ScalarType::BFloat16, "BF16", 2},
    {at::ScalarType::Long, "I64", 8},
    {at::ScalarType::Int, "I32", 4},
    {at::ScalarType::Short, "I16", 2},
    {at::ScalarType::Char, "I8", 1},
    {at::ScalarType::Byte, "U8", 1},
    {at::ScalarType::Bool, "BOOL", 1},
}};

/// As the reference implementation: a header beyond this is an attack.
constexpr std::uint64_t max_header_bytes = 100'000'000;
constexpr std::uint64_t length_bytes = 8;

std::uint64_t read_little_endian(std::span<const std::byte> bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = length_bytes; i-- > 0;)
    value = value << 8 | std::to_integer<std::uint64_t>(bytes[i]);
  return value;
}

/// Bytes of a tensor; nothing where the product leaves 63 bits.
std::optional<std::uint64_t> byte_count(std::span<const std::int64_t> shape,
                                        std::uint64_t element_size) {
  // A size of 0 makes the product 0, but the others must still fit: strides
  // are products of them.
  auto count = element_size;
  bool empty = false;
  for (const auto size : shape) {
    if (size == 0) {
      empty = true;
      continue;
    }
    if (static_cast<std::uint64_t>(size) >
        static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) /
            count)
      return std::nullopt;
    count *= static_cast<std::uint64_t>(size);
  }
  return empty ? 0 : count;
}

/// Checks one entry against the data that follow the header.
result<tensor_view> check_entry(header_entry& entry,
                                std::span<const std::byte> data,
                                const std::string& file) {
  const auto fail = [&](const std::string& why) {
    return error{ec::corrupt, file + ": tensor '" + entry.name + "': " + why};
  };
  const auto dtype = std::find_if(
      dtype_names.begin(), dtype_names.end(),
      [&](const dtype_name& known) { return known.name == entry.dtype; });
  if (dtype == dtype_names.end()) {
    std::string known;
    for (const auto& [type, name, size] : dtype_names)
      known += (known.empty() ? "" : " ") + std::string{name};
    return fail("expected a dtype of " + known + ", found '" + entry.dtype +
                "'");
  }
  if (entry.begin > entry.end || entry.end > data.size())
    return fail("expected offsets within the " + std::to_string(data.size()) +
                " bytes of data, found [" + std::to_string(entry.begin) +
                ", " + std::to_string(entry.end) + ")");
  const auto expected = byte_count(entry.shape, dtype->size);
  if (!expected)
    return fail("the shape " + shape_text(entry.shape) +
                " is too large for 64-bit arithmetic");
  const auto found = entry.end - entry.begin;
  if (*expected != found)
    return fail("expected " + std::to_string(*expected) + " bytes for " +
                entry.dtype + " " + shape_text(entry.shape) + ", found " +
                std::to_string(found));
  const auto bytes = data.subspan(entry.begin, found);
  if (reinterpret_cast<std::uintptr_t>(bytes.data()) % dtype->size != 0)
    return fail("expected data aligned to " + std::to_string(dtype->size) +
                " bytes, found offset " + std::to_string(entry.begin));
  return tensor_view{.name = std::move(entry.name),
                     .dtype = dtype->dtype,
                     .shape = std::move(entry.shape),
                     .bytes = bytes,
                     .owner = nullptr,
                     .file = file};
}

/// The data of all tensors must tile the file: bytes that no tensor claims,
/// or that two do, are how a file smuggles what nobody checks.
result<void> check_tiling(const std::vector<header_entry>& entries,
                          std::uint64_t data_size, const std::string& file) {
  std::vector<const header_entry*> order;
  for (const auto& entry : entries) order.push_back(&entry);
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return std::pair{a->begin, a->end} < std::pair{b->begin, b->end};
  });
  std::uint64_t expected = 0;
  for (const auto* entry : order) {
    if (entry->begin != expected)
      return error{ec::corrupt,
                   file + ": tensor '" + entry->name +
                       "': expected data from offset " +
                       std::to_string(expected) + ", found " +
                       std::to_string(entry->begin) +
                       (entry->begin < expected ? " (overlap)" : " (gap)")};
    expected = entry->end;
  }
  if (expected != data_size)
    return error{ec::corrupt, file + ": expected " + std::to_string(expected) +
                                  " bytes of data, found " +
                                  std::to_string(data_size)};
  return {};
}

}  // namespace

at::Tensor tensor_view::tensor() const {
  // from_blob wants a mutable pointer; the class's promise is not to write.
  return at::from_blob(
      const_cast<std::byte*>(bytes.data()), shape,
      [keep = owner](void*) mutable { keep.reset(); },
      at::TensorOptions{}.dtype(dtype));
}

result<safetensors_file> safetensors_file::open(
    const std::filesystem::path& path) {
  auto mapping = file_mapping::open(path);
  if (!mapping) return mapping.error();
  const auto bytes = (*mapping)->bytes();
  return read(bytes, std::move(*mapping), path);
}

result<safetensors_file> safetensors_file::parse(std::vector<std::byte> bytes,
                                                 std::string label) {
  const auto owner =
      std::make_shared<const std::vector<std::byte>>(std::move(bytes));
  return read(*owner, owner, std::move(label));
}

result<safetensors_file> safetensors_file::read(
    std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
    std::filesystem::path file) {
  const auto name = file.string();
  if (bytes.size() < length_bytes)
    return error{ec::corrupt, name +
                                  ": expected a safetensors file, found " +
                                  std::to_string(bytes.size()) + " bytes"};
  const auto header_size = read_little_endian(bytes);
  if (header_size > max_header_bytes)
    return error{ec::corrupt, name + ": expected a header of at most " +
                                  std::to_string(max_header_bytes) +
                                  " bytes, found a length of " +
                                  std::to_string(header_size)};
  if (header_size > bytes.size() - length_bytes)
    return error{ec::corrupt, name + ": expected a header of " +
                                  std::to_string(header_size) +
                                  " bytes, found a file of " +
                                  std::to_string(bytes.size()) +
                                  " bytes (truncated)"};
  const std::string_view json{
      reinterpret_cast<const char*>(bytes.data()) + length_bytes, header_size};
  auto header = parse_safetensors_header(json, name);
  if (!header) return header.error();

  const auto data = bytes.subspan(length_bytes + header_size);
  safetensors_file out;
  out.file_ = std::move(file);
  out.bytes_ = bytes;
  // Ranges first, so that a truncated file is told from a badly laid out one.
  auto entries = header->entries;
  for (auto& entry : header->entries) {
    auto view = check_entry(entry, data, name);
    if (!view) return view.error();
    view->owner = owner;
    out.tensors_.push_back(std::move(*view));
  }
  if (auto tiled = check_tiling(entries, data.size(), name); !tiled)
    return tiled.error();
  std::sort(out.tensors_.begin(), out.tensors_.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  out.metadata_ = std::move(header->metadata);
  return out;
}

const tensor_view* safetensors_file::find(std::string_view name) const {
  const auto at = std::lower_bound(
      tensors_.begin(), tensors_.end(), name,
      [](const tensor_view& a, std::string_view b) { return a.name < b; });
  return at != tensors_.end() && at->name == name ? &*at : nullptr;
}

result<at::Tensor> safetensors_file::tensor(std::string_view name) const {
  if (const auto* view = find(name)) return view->tensor();
  return error{ec::not_found, file_.string() + ": expected a tensor '" +
                                  std::string{name} + "', found none"};
}

std::string_view safetensors_dtype(at::ScalarType dtype) {
  for (const auto& known : dtype_names)
    if (known.dtype == dtype) return known.name;
  return {};
}

std::string shape_text(std::span<const std::int64_t> shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i)
    text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

}  // namespace t2
