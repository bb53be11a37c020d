#include "weights/gguf_file.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "weights/gguf_cursor.hpp"

namespace t2 {
namespace {

constexpr std::uint32_t magic = 0x46554747;  // "GGUF"
constexpr std::uint64_t longest_key = 65535, longest_name = 255;
constexpr std::uint32_t most_dimensions = 4;
constexpr std::uint64_t most_values = std::uint64_t{1} << 48;  // of a tensor
constexpr std::uint64_t default_alignment = 32;
// Every key takes a length, a type and a value; every tensor a length, a count
// of dimensions, one of them, a type and an offset.
constexpr std::uint64_t least_key_bytes = 13, least_tensor_bytes = 32;

std::uint64_t width(gguf_type type) {
  switch (type) {
    case gguf_type::uint8:
    case gguf_type::int8:
    case gguf_type::boolean: return 1;
    case gguf_type::uint16:
    case gguf_type::int16: return 2;
    case gguf_type::uint32:
    case gguf_type::int32:
    case gguf_type::float32: return 4;
    case gguf_type::uint64:
    case gguf_type::int64:
    case gguf_type::float64: return 8;
    case gguf_type::string:
    case gguf_type::array: return 0;
  }
  return 0;
}

bool is_type(std::uint32_t number) {
  return number <= static_cast<std::uint32_t>(gguf_type::float64);
}

/// A name for an error: one line, whatever bytes it has.
std::string quoted(std::string_view text) {
  constexpr std::size_t most = 64;
  std::string out = "'";
  for (const char c : text.substr(0, most))
    out += static_cast<unsigned char>(c) < 0x20 ||
                   static_cast<unsigned char>(c) >= 0x7f
               ? '?'
               : c;
  return out + (text.size() > most ? "...'" : "'");
}

class parser {
 public:
  parser(std::span<const std::byte> bytes, const std::string& label)
      : bytes_(bytes), at_(bytes), label_(label) {}

  std::optional<error> failure;
  std::uint32_t version = 0;
  std::map<std::string_view, gguf_value> metadata;
  std::vector<gguf_tensor> tensors;

  void run() {
    read_header();
    for (std::uint64_t i = 0; !failure && i < keys_; ++i) read_key();
    if (!failure) read_alignment();
    for (std::uint64_t i = 0; !failure && i < count_; ++i) read_tensor();
    if (!failure) place_tensors();
  }

 private:
  void refuse(ec code, std::string what) {
    if (!failure) failure = error{code, label_ + ": " + std::move(what)};
  }
  void corrupt(std::string what) { refuse(ec::corrupt, std::move(what)); }
  void ends(const std::string& in) {
    corrupt(in + ": expected more bytes, found the end of the file");
  }

  void read_header() {
    const auto found = at_.number<std::uint32_t>();
    if (found != magic)
      return corrupt("expected a GGUF file (it begins with \"GGUF\"), found " +
                     std::string{bytes_.empty() ? "an empty file"
                                                : "another kind of file"});
    const auto number = at_.number<std::uint32_t>();
    if (!number) return ends("version");
    version = *number;
    if (version != 2 && version != 3)
      return refuse(ec::incompatible,
                    (version & 0xffffu) == 0 && version != 0
                        ? std::string{"expected a little-endian file, found a "
                                      "big-endian one"}
                        : "version: expected 2 or 3, found " +
                              std::to_string(version));
    const auto tensor_count = at_.number<std::uint64_t>();
    const auto key_count = at_.number<std::uint64_t>();
    if (!tensor_count || !key_count) return ends("header");
    check_count("metadata keys", *key_count, least_key_bytes);
    check_count("tensors", *tensor_count, least_tensor_bytes);
    keys_ = *key_count;
    count_ = *tensor_count;
  }

  void check_count(const char* of, std::uint64_t count, std::uint64_t each) {
    const auto most = at_.left() / each;
    if (count > most)
      corrupt("expected at most " + std::to_string(most) + " " + of +
              " in a file of " + std::to_string(bytes_.size()) +
              " bytes, found " + std::to_string(count));
  }

  void read_key() {
    const auto length = at_.number<std::uint64_t>();
    if (!length) return ends("metadata");
    if (*length == 0 || *length > longest_key || *length > at_.left())
      return corrupt("metadata: expected a key of 1 to " +
                     std::to_string(std::min(longest_key, at_.left())) +
                     " bytes, found " + std::to_string(*length));
    const auto raw = *at_.take(*length);
    const std::string_view key{reinterpret_cast<const char*>(raw.data()),
                               raw.size()};
    const auto type = at_.number<std::uint32_t>();
    if (!type) return ends("key " + quoted(key));
    if (!is_type(*type))
      return corrupt("key " + quoted(key) + ": expected a type from 0 to 12, " +
                     "found " + std::to_string(*type));
    auto value = read_value(key, static_cast<gguf_type>(*type));
    if (failure) return;
    if (!metadata.emplace(key, std::move(value)).second)
      corrupt("key " + quoted(key) + ": expected once, found twice");
  }

  template <class T>
  gguf_value number_of(std::string_view key) {
    const auto value = at_.number<T>();
    if (!value) {
      ends("key " + quoted(key));
      return false;
    }
    if constexpr (std::is_floating_point_v<T>)
      return static_cast<double>(*value);
    else if constexpr (std::is_same_v<T, std::uint64_t>)
      if (*value > static_cast<std::uint64_t>(INT64_MAX)) return *value;
    return static_cast<std::int64_t>(*value);
  }

  gguf_value read_value(std::string_view key, gguf_type type) {
    switch (type) {
      case gguf_type::uint8: return number_of<std::uint8_t>(key);
      case gguf_type::int8: return number_of<std::int8_t>(key);
      case gguf_type::uint16: return number_of<std::uint16_t>(key);
      case gguf_type::int16: return number_of<std::int16_t>(key);
      case gguf_type::uint32: return number_of<std::uint32_t>(key);
      case gguf_type::int32: return number_of<std::int32_t>(key);
      case gguf_type::uint64: return number_of<std::uint64_t>(key);
      case gguf_type::int64: return number_of<std::int64_t>(key);
      case gguf_type::float32: return number_of<float>(key);
      case gguf_type::float64: return number_of<double>(key);
      case gguf_type::boolean: return read_boolean(key);
      case gguf_type::string:
        if (const auto text = at_.text()) return *text;
        ends("key " + quoted(key));
        return false;
      case gguf_type::array: return read_array(key);
    }
    return false;
  }

  gguf_value read_boolean(std::string_view key) {
    const auto value = at_.number<std::uint8_t>();
    if (!value)
      ends("key " + quoted(key));
    else if (*value > 1)
      corrupt("key " + quoted(key) + ": expected 0 or 1 for a bool, found " +
              std::to_string(*value));
    return value && *value == 1;
  }

  gguf_value read_array(std::string_view key) {
    const auto type = at_.number<std::uint32_t>();
    const auto size = at_.number<std::uint64_t>();
    if (!type || !size) {
      ends("key " + quoted(key));
      return false;
    }
    if (!is_type(*type) || static_cast<gguf_type>(*type) == gguf_type::array) {
      corrupt("key " + quoted(key) +
              ": expected a list of numbers, texts or bools, found " +
              (is_type(*type) ? "a list of lists"
                              : "type " + std::to_string(*type)));
      return false;
    }
    gguf_array list{.type = static_cast<gguf_type>(*type), .size = *size};
    const auto each =
        list.type == gguf_type::string ? 8 : width(list.type);
    if (*size > at_.left() / each) {
      corrupt("key " + quoted(key) + ": expected at most " +
              std::to_string(at_.left() / each) + " entries, found " +
              std::to_string(*size));
      return false;
    }
    const auto begin = at_.position();
    if (list.type != gguf_type::string)
      (void)at_.take(*size * each);
    else
      for (std::uint64_t i = 0; i < *size; ++i)
        if (!at_.text()) {
          ends("key " + quoted(key) + ": entry " + std::to_string(i));
          return false;
        }
    list.bytes = bytes_.subspan(begin, at_.position() - begin);
    return list;
  }

  void read_alignment() {
    const auto found = metadata.find("general.alignment");
    if (found == metadata.end()) return;
    const auto* value = std::get_if<std::int64_t>(&found->second);
    if (!value || *value < 1 ||
        !std::has_single_bit(static_cast<std::uint64_t>(*value)))
      return corrupt("general.alignment: expected a power of two, found " +
                     (value ? std::to_string(*value)
                            : std::string{"another type"}));
    alignment_ = static_cast<std::uint64_t>(*value);
  }

  void read_tensor() {
    const auto length = at_.number<std::uint64_t>();
    if (!length) return ends("tensors");
    if (*length == 0 || *length > longest_name || *length > at_.left())
      return corrupt("tensors: expected a name of 1 to " +
                     std::to_string(std::min(longest_name, at_.left())) +
                     " bytes, found " + std::to_string(*length));
    const auto raw = *at_.take(*length);
    gguf_tensor tensor;
    tensor.name = {reinterpret_cast<const char*>(raw.data()), raw.size()};
    const auto where = "tensor " + quoted(tensor.name);
    const auto dimensions = at_.number<std::uint32_t>();
    if (!dimensions) return ends(where);
    if (*dimensions < 1 || *dimensions > most_dimensions)
      return corrupt(where + ": expected 1 to 4 dimensions, found " +
                     std::to_string(*dimensions));
    std::uint64_t values = 1;
    for (std::uint32_t i = 0; i < *dimensions; ++i) {
      const auto size = at_.number<std::uint64_t>();
      if (!size) return ends(where);
      if (*size == 0 || *size > most_values / values)
        return corrupt(where + ": expected dimensions of 1 and more whose " +
                       "product is at most 2^48, found " +
                       std::to_string(*size) + " as number " +
                       std::to_string(i + 1));
      values *= *size;
      tensor.shape.insert(tensor.shape.begin(),
                          static_cast<std::int64_t>(*size));
    }
    const auto type = at_.number<std::uint32_t>();
    const auto offset = at_.number<std::uint64_t>();
    if (!type || !offset) return ends(where);
    const auto encoding = gguf_encoding(*type);
    if (!encoding)
      return refuse(ec::incompatible,
                    where + ": expected one of " +
                        std::string{known_weight_encodings()} +
                        ", found type " + std::to_string(*type));
    tensor.encoding = *encoding;
    const auto& form = traits(*encoding);
    if (tensor.shape.back() % form.block != 0)
      return corrupt(where + ": expected rows of whole blocks of " +
                     std::to_string(form.block) + " values (" +
                     std::string{form.name} + "), found rows of " +
                     std::to_string(tensor.shape.back()));
    places_.push_back(
        {*offset, values / static_cast<std::uint64_t>(form.block) *
                      static_cast<std::uint64_t>(form.block_bytes)});
    tensors.push_back(std::move(tensor));
  }

  /// Finds the tensors' bytes in what follows the header.
  void place_tensors() {
    const auto begin =
        (at_.position() + alignment_ - 1) / alignment_ * alignment_;
    const std::uint64_t room =
        begin < bytes_.size() ? bytes_.size() - begin : 0;
    std::vector<std::size_t> order(tensors.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::ranges::sort(order, {}, [&](std::size_t i) {
      return places_[i].offset;
    });
    std::uint64_t taken = 0;  // up to here by the tensors before
    for (const auto i : order) {
      const auto where = "tensor " + quoted(tensors[i].name);
      const auto [offset, size] = places_[i];
      if (offset % alignment_ != 0)
        return corrupt(where + ": expected an offset that is a multiple of " +
                       std::to_string(alignment_) + ", found " +
                       std::to_string(offset));
      if (offset > room || size > room - offset)
        return corrupt(where + ": expected " + std::to_string(size) +
                       " bytes from offset " + std::to_string(offset) +
                       " on, found " + std::to_string(room) +
                       " bytes of tensors in the file");
      if (offset < taken)
        return corrupt(where + ": expected an offset from " +
                       std::to_string(taken) + " on, found " +
                       std::to_string(offset) + ", within another tensor");
      taken = offset + size;
      tensors[i].bytes =
          bytes_.subspan(static_cast<std::size_t>(begin + offset),
                         static_cast<std::size_t>(size));
    }
    std::ranges::sort(tensors, {}, &gguf_tensor::name);
    const auto twice = std::ranges::adjacent_find(tensors, {}, &gguf_tensor::name);
    if (twice != tensors.end())
      corrupt("tensor " + quoted(twice->name) + ": expected once, found twice");
  }

  struct place {
    std::uint64_t offset, size;
  };

  std::span<const std::byte> bytes_;
  gguf_cursor at_;
  const std::string& label_;
  std::uint64_t keys_ = 0, count_ = 0, alignment_ = default_alignment;
  std::vector<place> places_;  // of tensors, in the order of the header
};

}  // namespace

result<gguf_file> gguf_file::parse(std::span<const std::byte> bytes,
                                   std::string label) {
  gguf_file out;
  out.label_ = std::move(label);
  parser reads{bytes, out.label_};
  reads.run();
  if (reads.failure) return *reads.failure;
  out.version_ = reads.version;
  out.metadata_ = std::move(reads.metadata);
  out.tensors_ = std::move(reads.tensors);
  return out;
}

const gguf_tensor* gguf_file::find(std::string_view name) const {
  const auto at = std::ranges::lower_bound(tensors_, name, {}, &gguf_tensor::name);
  return at != tensors_.end() && at->name == name ? &*at : nullptr;
}

}  // namespace t2
