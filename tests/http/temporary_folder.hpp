#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>

namespace t2::test {

/// A folder of mode 0700 that goes away with its owner.
class temporary_folder {
 public:
  temporary_folder() {
    std::string name = "/tmp/t2-test-XXXXXX";
    path_ = ::mkdtemp(name.data());
  }
  ~temporary_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;

  std::filesystem::path operator/(const std::string& name) const {
    return path_ / name;
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace t2::test
