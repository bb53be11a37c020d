#include "model/safetensors_header.hpp"

#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

namespace t2 {
namespace {

/// Callbacks of nlohmann's event parser. Each returns false to stop, with the
/// reason in `failure`.
class header_reader : public nlohmann::json_sax<nlohmann::json> {
 public:
  safetensors_header header;
  std::string failure;

  bool start_object(std::size_t) override {
    switch (place_) {
      case place::outside: place_ = place::names; return true;
      case place::name:
        place_ = key_ == metadata_key ? place::metadata_names : place::fields;
        if (place_ == place::fields) {
          header.entries.push_back({.name = key_, .dtype = {}, .shape = {}});
          seen_fields_.clear();
        }
        return true;
      default: return refuse("an object");
    }
  }

  bool end_object() override {
    switch (place_) {
      case place::names: place_ = place::done; return true;
      case place::metadata_names: place_ = place::names; return true;
      case place::fields:
        for (const auto* field : {"dtype", "shape", "data_offsets"})
          if (!seen_fields_.contains(field))
            return fail("tensor '" + key_ + "': expected a key '" + field +
                        "', found none");
        place_ = place::names;
        return true;
      default: return refuse("the end of an object");
    }
  }

  bool key(std::string& text) override {
    switch (place_) {
      case place::names:
        key_ = text;
        if (!names_.insert(text).second)
          return fail("tensor '" + text + "': expected once, found twice");
        place_ = place::name;
        return true;
      case place::metadata_names:
        if (header.metadata.contains(text))
          return fail("metadata key '" + text + "': expected once, found twice");
        metadata_key_ = text;
        place_ = place::metadata_value;
        return true;
      case place::fields:
        if (!seen_fields_.insert(text).second)
          return fail("tensor '" + key_ + "': expected the key '" + text +
                      "' once, found it twice");
        if (text == "dtype")
          place_ = place::dtype;
        else if (text == "shape")
          place_ = place::shape;
        else if (text == "data_offsets")
          place_ = place::offsets;
        else
          return fail("tensor '" + key_ +
                      "': expected dtype, shape, data_offsets, found '" + text +
                      "'");
        return true;
      default: return refuse("a key");
    }
  }

  bool start_array(std::size_t) override {
    if (place_ == place::shape) {
      place_ = place::shape_values;
      return true;
    }
    if (place_ == place::offsets) {
      place_ = place::offset_values;
      offsets_.clear();
      return true;
    }
    return refuse("an array");
  }

  bool end_array() override {
    if (place_ == place::offset_values) {
      if (offsets_.size() != 2)
        return fail("tensor '" + key_ + "': expected 2 data_offsets, found " +
                    std::to_string(offsets_.size()));
      header.entries.back().begin = offsets_[0];
      header.entries.back().end = offsets_[1];
    }
    place_ = place::fields;
    return true;
  }

  bool number_unsigned(std::uint64_t value) override {
    if (place_ == place::shape_values) {
      if (value > std::numeric_limits<std::int64_t>::max())
        return fail("tensor '" + key_ + "': a size of " +
                    std::to_string(value) + " is out of range");
      if (header.entries.back().shape.size() >= max_dimensions)
        return fail("tensor '" + key_ + "': expected at most " +
                    std::to_string(max_dimensions) +
                    " dimensions, found more");
      header.entries.back().shape.push_back(static_cast<std::int64_t>(value));
      return true;
    }
    if (place_ == place::offset_values) {
      if (offsets_.size() == 2)
        return fail("tensor '" + key_ +
                    "': expected 2 data_offsets, found more");
      offsets_.push_back(value);
      return true;
    }
    return refuse("a number");
  }

  bool string(std::string& text) override {
    if (place_ == place::metadata_value) {
      header.metadata.emplace(metadata_key_, text);
      place_ = place::metadata_names;
      return true;
    }
    if (place_ == place::dtype) {
      header.entries.back().dtype = text;
      place_ = place::fields;
      return true;
    }
    return refuse("a string");
  }

  bool null() override { return refuse("null"); }
  bool boolean(bool) override { return refuse("a boolean"); }
  bool number_integer(std::int64_t value) override {
    return refuse("the number " + std::to_string(value));
  }
  bool number_float(double, const std::string& text) override {
    return refuse("the number " + text);
  }
  bool binary(nlohmann::json::binary_t&) override { return refuse("binary"); }
  bool parse_error(std::size_t at, const std::string&,
                   const nlohmann::json::exception&) override {
    return fail("expected JSON, found a syntax error at byte " +
                std::to_string(at));
  }

 private:
  enum class place {
    outside, names, name, fields, dtype, shape, shape_values, offsets,
    offset_values, metadata_names, metadata_value, done
  };
  static constexpr std::string_view metadata_key = "__metadata__";
  static constexpr std::size_t max_dimensions = 16;

  bool fail(std::string why) {
    if (failure.empty()) failure = std::move(why);
    return false;
  }

  bool refuse(const std::string& found) {
    switch (place_) {
      case place::outside:
        return fail("expected an object, found " + found);
      case place::name:
        return fail("tensor '" + key_ + "': expected an object, found " +
                    found);
      case place::dtype:
        return fail("tensor '" + key_ + "': expected a string as dtype, found " +
                    found);
      case place::shape:
      case place::shape_values:
        return fail("tensor '" + key_ +
                    "': expected non-negative integers as shape, found " +
                    found);
      case place::offsets:
      case place::offset_values:
        return fail("tensor '" + key_ +
                    "': expected non-negative integers as data_offsets, "
                    "found " + found);
      case place::metadata_value:
        return fail("metadata key '" + metadata_key_ +
                    "': expected a string, found " + found);
      default: return fail("unexpected " + found);
    }
  }

  place place_ = place::outside;
  std::string key_;  // the tensor being read
  std::string metadata_key_;
  std::set<std::string> names_;
  std::set<std::string, std::less<>> seen_fields_;
  std::vector<std::uint64_t> offsets_;
};

}  // namespace

result<safetensors_header> parse_safetensors_header(std::string_view json,
                                                    const std::string& file) {
  header_reader reader;
  try {
    // Events in, no document: a deeply nested header costs nothing.
    if (nlohmann::json::sax_parse(json, &reader))
      return std::move(reader.header);
  } catch (const std::exception& problem) {
    reader.failure = problem.what();
  }
  return error{ec::corrupt, file + ": safetensors header: " + reader.failure};
}

}  // namespace t2
