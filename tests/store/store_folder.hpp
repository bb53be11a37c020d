#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "config/durable_file.hpp"
#include "config/sha256.hpp"
#include "store/expert_store.hpp"

namespace t2 {

/// A folder that goes with its owner; the store in it is `path()`.
class store_folder {
 public:
  store_folder() {
    std::string name =
        (std::filesystem::temp_directory_path() / "t2-store-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~store_folder() { std::filesystem::remove_all(folder_); }
  store_folder(const store_folder&) = delete;
  store_folder& operator=(const store_folder&) = delete;

  const std::filesystem::path& folder() const { return folder_; }
  std::filesystem::path path() const { return folder_ / "store.db"; }

  /// The names in the folder, but for the lock's.
  std::set<std::string> names() const {
    std::set<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      found.insert(entry.path().filename().string());
    }
    found.erase("store.db.lock");
    return found;
  }

  std::string bytes() const { return bytes(path()); }
  static std::string bytes(const std::filesystem::path& path) {
    auto content = read_file(path, 1u << 30);
    EXPECT_TRUE(content) << content.error().message;
    return content ? *content : std::string();
  }

 private:
  std::filesystem::path folder_;
};

/// 64 hexadecimal digits that stand for `name`.
inline std::string key_of(std::string_view name) {
  return sha256_hex(name);
}

inline std::vector<std::byte> bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
  return {bytes.begin(), bytes.end()};
}

/// The value of `r`, or a failed test and an empty value.
template <class T>
T must(result<T> r) {
  if (!r) {
    ADD_FAILURE() << to_string(r.error().code) << ": " << r.error().message;
    throw std::runtime_error(r.error().message);
  }
  if constexpr (!std::is_void_v<T>) return *std::move(r);
}

inline ec code_of(const auto& r) {
  return r ? ec::none : r.error().code;
}

inline store_options at_time(std::int64_t time) {
  return {.clock = [time] { return time; }};
}

inline store_base_model sample_base(std::string_view name = "base") {
  return {.fingerprint = key_of(name),
          .name = std::string(name),
          .config_json = R"({"layers": 2})"};
}

inline store_expert_version sample_version(std::string_view z,
                                           std::int64_t parent = 0) {
  return {.z_safetensors = bytes_of(z),
          .parent_version = parent,
          .norm = "nuclear",
          .targets = "mlp",
          .provenance_json = R"({"objective": "next-token", "seed": 7})"};
}

inline store_task sample_task(std::string_view name,
                              std::string_view base = "base") {
  return {.name = std::string(name),
          .base = key_of(base),
          .description = "adds numbers",
          .reward = "numeric",
          .options_json = R"({"system": "Be brief."})",
          .examples = {{.id = "a", .prompt = "1+1?", .answer = "2"},
                       {.id = "b",
                        .prompt = "Größe: ½ + ½?",
                        .answer = "1",
                        .extra_json = R"({"weight": 2})"}}};
}

inline store_adaptation sample_adaptation(std::string_view key,
                                          std::vector<store_version_ref> used,
                                          std::string_view base = "base") {
  return {.key = key_of(key),
          .base = key_of(base),
          .mixture_json = R"({"rule": "delta", "alpha": [0.5]})",
          .accepted = true,
          .scores_json = R"({"gain": 0.25})",
          .cost_json = R"({"tokens": 1200, "seconds": 3.5})",
          .used = std::move(used)};
}

}  // namespace t2
