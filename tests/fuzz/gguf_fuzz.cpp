// A GGUF file of a stranger: whatever its bytes, parsing ends in a file whose
// tensors lie within it and can be decoded, or in one line.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <variant>
#include <vector>

#include "weights/block_codec.hpp"
#include "weights/gguf_file.hpp"

namespace {

void expect(bool holds) {
  if (!holds) std::abort();
}

std::int64_t values_of(const t2::gguf_tensor& tensor) {
  std::int64_t values = 1;
  for (const std::int64_t size : tensor.shape) values *= size;
  return values;
}

void check(const t2::gguf_file& file, std::span<const std::byte> bytes) {
  for (const auto& [key, value] : file.metadata()) {
    const auto* list = std::get_if<t2::gguf_array>(&value);
    if (!list) continue;
    expect(list->strings().size() + list->integers().size() +
               list->floats().size() <=
           list->size);
  }
  for (const auto& tensor : file.tensors()) {
    expect(tensor.bytes.data() >= bytes.data() &&
           tensor.bytes.data() + tensor.bytes.size() <=
               bytes.data() + bytes.size());
    expect(file.find(tensor.name) != nullptr);
    if (!t2::traits(tensor.encoding).weights) continue;
    // No more than the file's bytes can hold: some 4 values a byte.
    const std::int64_t values = values_of(tensor);
    expect(values >= 0 &&
           values <= 8 * static_cast<std::int64_t>(bytes.size()));
    std::vector<float> decoded(static_cast<std::size_t>(values));
    t2::decode_blocks(tensor.encoding, tensor.bytes, decoded);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  // A copy of its own, so that a read beyond its end is seen.
  const std::vector<std::byte> bytes(
      reinterpret_cast<const std::byte*>(data),
      reinterpret_cast<const std::byte*>(data) + size);
  const auto file = t2::gguf_file::parse(bytes, "m.gguf");
  if (file) {
    check(*file, bytes);
  } else {
    expect(file.error().message.starts_with("m.gguf: "));
    expect(file.error().message.find('\n') == std::string::npos);
  }
  return 0;
}
