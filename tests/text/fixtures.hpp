#pragma once

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.hpp"
#include "tests/paths.hpp"

namespace t2::fixtures {

/// The golden records that transformers computed.
inline const nlohmann::json& golden() {
  static const nlohmann::json read = [] {
    std::ifstream in(tests::assets() / "text_golden.json");
    return nlohmann::json::parse(in);
  }();
  return read;
}

/// The tokenizers at hand. Llama 3's is not shipped with the project; it joins
/// when T2_ASSETS names a folder that has it.
inline std::vector<std::string> tokenizer_names() {
  std::vector<std::string> names = {"smollm2", "mistral-tokenizer",
                                    "stories260k-hf"};
  if (std::getenv("T2_ASSETS")) names.push_back("llama3-tokenizer");
  return names;
}

inline std::filesystem::path folder_of(const std::string& name) {
  if (name == "llama3-tokenizer")
    return std::filesystem::path(std::getenv("T2_ASSETS")) / name;
  return tests::assets() / name;
}

/// Each is read once for all tests.
inline std::shared_ptr<const tokenizer> load(const std::string& name) {
  static std::map<std::string, std::shared_ptr<const tokenizer>> known;
  if (const auto found = known.find(name); found != known.end())
    return found->second;
  auto loaded = tokenizer::load(folder_of(name));
  if (!loaded) throw std::runtime_error(loaded.error().message);
  return known[name] = *loaded;
}

/// A model folder made up by a test, gone when the test ends.
class scratch_folder {
 public:
  scratch_folder() {
    static std::atomic<int> count = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("t2-text-" + std::to_string(::getpid()) + "-" +
             std::to_string(count++));
    std::filesystem::create_directories(path_);
  }
  ~scratch_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  scratch_folder(const scratch_folder&) = delete;
  scratch_folder& operator=(const scratch_folder&) = delete;

  const std::filesystem::path& path() const { return path_; }

  const scratch_folder& put(const std::string& name,
                            std::string_view content) const {
    std::ofstream out(path_ / name, std::ios::binary);
    out.write(content.data(), static_cast<std::streamsize>(content.size()));
    return *this;
  }

 private:
  std::filesystem::path path_;
};

/// True when `text` is well-formed UTF-8 (RFC 3629's table, byte by byte).
inline bool is_utf8(std::string_view text) {
  std::size_t at = 0;
  auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  auto within = [&](std::size_t i, unsigned low, unsigned high) {
    return byte(i) >= low && byte(i) <= high && i < text.size();
  };
  while (at < text.size()) {
    const unsigned lead = byte(at);
    if (lead < 0x80) {
      at += 1;
    } else if (lead >= 0xc2 && lead <= 0xdf && within(at + 1, 0x80, 0xbf)) {
      at += 2;
    } else if (lead >= 0xe0 && lead <= 0xef &&
               within(at + 1, lead == 0xe0 ? 0xa0 : 0x80,
                      lead == 0xed ? 0x9f : 0xbf) &&
               within(at + 2, 0x80, 0xbf)) {
      at += 3;
    } else if (lead >= 0xf0 && lead <= 0xf4 &&
               within(at + 1, lead == 0xf0 ? 0x90 : 0x80,
                      lead == 0xf4 ? 0x8f : 0xbf) &&
               within(at + 2, 0x80, 0xbf) && within(at + 3, 0x80, 0xbf)) {
      at += 4;
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace t2::fixtures
