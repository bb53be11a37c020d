#include "model/gguf_model.hpp"

#include <cstdio>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "model/gguf_keys.hpp"

namespace t2 {
namespace {

constexpr std::int64_t most_parts = 9999;

result<gguf_model::part> open_part(const std::filesystem::path& path) {
  auto mapping = file_mapping::open(path);
  if (!mapping) return mapping.error();
  auto file = gguf_file::parse((*mapping)->bytes(), path.string());
  if (!file) return file.error();
  return gguf_model::part{path, *std::move(mapping), *std::move(file)};
}

/// "-00002-of-00003.gguf"
std::string ending(std::int64_t number, std::int64_t count) {
  char text[64];
  std::snprintf(text, sizeof text, "-%05lld-of-%05lld.gguf",
                static_cast<long long>(number), static_cast<long long>(count));
  return text;
}

}  // namespace

bool is_gguf(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored);
}

result<gguf_model> gguf_model::open(const std::filesystem::path& path) {
  auto first = open_part(path);
  if (!first) return first.error();
  gguf_model out;
  out.parts_.push_back(*std::move(first));
  gguf_keys keys{out.head()};
  const auto count = keys.integer("split.count", 0, most_parts).value_or(0);
  const auto number = keys.integer("split.no", 0, most_parts).value_or(0);
  if (keys.failure()) return *keys.failure();
  if (count <= 1) return out;
  const auto name = path.filename().string();
  const auto expected = ending(1, count);
  if (number != 0 || !name.ends_with(expected))
    return error{ec::invalid_argument,
                 path.string() + ": expected the first part of a model in " +
                     std::to_string(count) + " files, a name that ends in " +
                     expected + ", found part " + std::to_string(number + 1)};
  const auto stem = name.substr(0, name.size() - expected.size());
  std::set<std::string_view> names;
  for (std::int64_t i = 1; i <= count; ++i) {
    if (i > 1) {
      auto next = open_part(path.parent_path() / (stem + ending(i, count)));
      if (!next) return next.error();
      out.parts_.push_back(*std::move(next));
    }
    const auto& file = out.parts_.back().file;
    for (const auto& tensor : file.tensors())
      if (!names.insert(tensor.name).second)
        return error{ec::corrupt, file.label() + ": tensor '" +
                                      printable_text(tensor.name) +
                                      "': expected in one part, found in an "
                                      "earlier one too"};
  }
  return out;
}

const gguf_tensor* gguf_model::find(std::string_view name) const {
  for (const auto& one : parts_)
    if (const auto* tensor = one.file.find(name)) return tensor;
  return nullptr;
}

std::string_view gguf_model::architecture() const {
  const auto& keys = head().metadata();
  const auto at = keys.find("general.architecture");
  if (at == keys.end()) return {};
  const auto* text = std::get_if<std::string_view>(&at->second);
  return text ? *text : std::string_view{};
}

}  // namespace t2
