#include "weights/tensor_encoding.hpp"

#include <array>
#include <string>

namespace t2 {
namespace {

struct known {
  tensor_encoding encoding;
  std::uint32_t gguf;  // ggml.h: enum ggml_type
  encoding_traits traits;
};

constexpr std::array table{
    known{tensor_encoding::f32, 0, {"F32", 1, 4, true}},
    known{tensor_encoding::f16, 1, {"F16", 1, 2, true}},
    known{tensor_encoding::bf16, 30, {"BF16", 1, 2, true}},
    known{tensor_encoding::f64, 28, {"F64", 1, 8}},
    known{tensor_encoding::i8, 24, {"I8", 1, 1}},
    known{tensor_encoding::i16, 25, {"I16", 1, 2}},
    known{tensor_encoding::i32, 26, {"I32", 1, 4}},
    known{tensor_encoding::i64, 27, {"I64", 1, 8}},
    known{tensor_encoding::q4_0, 2, {"Q4_0", 32, 18, true}},
    known{tensor_encoding::q4_1, 3, {"Q4_1", 32, 20, true}},
    known{tensor_encoding::q5_0, 6, {"Q5_0", 32, 22, true}},
    known{tensor_encoding::q5_1, 7, {"Q5_1", 32, 24, true}},
    known{tensor_encoding::q8_0, 8, {"Q8_0", 32, 34, true}},
    known{tensor_encoding::q2_k, 10, {"Q2_K", 256, 84, true}},
    known{tensor_encoding::q3_k, 11, {"Q3_K", 256, 110, true}},
    known{tensor_encoding::q4_k, 12, {"Q4_K", 256, 144, true}},
    known{tensor_encoding::q5_k, 13, {"Q5_K", 256, 176, true}},
    known{tensor_encoding::q6_k, 14, {"Q6_K", 256, 210, true}},
    known{tensor_encoding::iq4_nl, 20, {"IQ4_NL", 32, 18, true}},
};

constexpr bool in_order() {
  for (std::size_t i = 0; i < table.size(); ++i)
    if (static_cast<std::size_t>(table[i].encoding) != i) return false;
  return true;
}
static_assert(in_order(), "traits() looks an encoding up by its number");

}  // namespace

const encoding_traits& traits(tensor_encoding encoding) {
  return table[static_cast<std::size_t>(encoding)].traits;
}

std::optional<tensor_encoding> gguf_encoding(std::uint32_t type) {
  for (const auto& one : table)
    if (one.gguf == type) return one.encoding;
  return std::nullopt;
}

std::string_view known_weight_encodings() {
  static const std::string names = [] {
    std::string all;
    for (const auto& one : table)
      if (one.traits.weights)
        all += (all.empty() ? "" : ", ") + std::string{one.traits.name};
    return all;
  }();
  return names;
}

}  // namespace t2
