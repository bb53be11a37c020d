#include "weights/gguf_value.hpp"

#include "weights/gguf_cursor.hpp"

namespace t2 {
namespace {

// Lists were walked when the file was parsed: what they promise is there.
template <class T, class Out>
void append_all(const gguf_array& list, std::vector<Out>& out) {
  gguf_cursor at{list.bytes};
  out.reserve(static_cast<std::size_t>(list.size));
  while (const auto value = at.number<T>())
    out.push_back(static_cast<Out>(*value));
}

}  // namespace

std::string_view to_string(gguf_type type) {
  switch (type) {
    case gguf_type::uint8: return "uint8";
    case gguf_type::int8: return "int8";
    case gguf_type::uint16: return "uint16";
    case gguf_type::int16: return "int16";
    case gguf_type::uint32: return "uint32";
    case gguf_type::int32: return "int32";
    case gguf_type::float32: return "float32";
    case gguf_type::boolean: return "bool";
    case gguf_type::string: return "string";
    case gguf_type::array: return "array";
    case gguf_type::uint64: return "uint64";
    case gguf_type::int64: return "int64";
    case gguf_type::float64: return "float64";
  }
  return "unknown";
}

std::vector<std::string_view> gguf_array::strings() const {
  std::vector<std::string_view> out;
  if (type != gguf_type::string) return out;
  gguf_cursor at{bytes};
  out.reserve(static_cast<std::size_t>(size));
  while (const auto text = at.text()) out.push_back(*text);
  return out;
}

std::vector<std::int64_t> gguf_array::integers() const {
  std::vector<std::int64_t> out;
  switch (type) {
    case gguf_type::uint8: append_all<std::uint8_t>(*this, out); break;
    case gguf_type::int8: append_all<std::int8_t>(*this, out); break;
    case gguf_type::uint16: append_all<std::uint16_t>(*this, out); break;
    case gguf_type::int16: append_all<std::int16_t>(*this, out); break;
    case gguf_type::uint32: append_all<std::uint32_t>(*this, out); break;
    case gguf_type::int32: append_all<std::int32_t>(*this, out); break;
    case gguf_type::uint64: append_all<std::uint64_t>(*this, out); break;
    case gguf_type::int64: append_all<std::int64_t>(*this, out); break;
    case gguf_type::boolean: append_all<std::uint8_t>(*this, out); break;
    case gguf_type::float32:
    case gguf_type::float64:
    case gguf_type::string:
    case gguf_type::array: break;
  }
  return out;
}

std::vector<float> gguf_array::floats() const {
  std::vector<float> out;
  if (type == gguf_type::float32) append_all<float>(*this, out);
  if (type == gguf_type::float64) append_all<double>(*this, out);
  return out;
}

}  // namespace t2
