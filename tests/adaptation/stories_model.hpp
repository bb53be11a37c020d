#pragma once

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include "model/language_model.hpp"
#include "tests/paths.hpp"

namespace t2 {

/// A folder of this process, for SVD caches and checkpoints; gone when it
/// ends. A child works in its parent's.
inline const std::filesystem::path& scratch_folder() {
  struct folder {
    std::filesystem::path path;
    bool own = true;
    folder() {
      const char* given = std::getenv("T2_TEST_SCRATCH");
      own = given == nullptr;
      path = own ? std::filesystem::path{testing::TempDir()} /
                       ("t2-adaptation-" + std::to_string(getpid()))
                 : std::filesystem::path{given};
      std::filesystem::create_directories(path);
    }
    ~folder() {
      std::error_code ignored;
      if (own) std::filesystem::remove_all(path, ignored);
    }
  };
  static const folder made;
  return made.path;
}

/// The 260K-parameter stories model, loaded once; null and a failed test if it
/// does not load.
inline std::shared_ptr<language_model> stories_model() {
  static const auto model = [] {
    // The model is too small to share out between threads; spinning ones would
    // wait for cores that other tests have.
    at::set_num_threads(1);
    return language_model::load(
        {.folder = tests::assets() / "stories260k-hf",
         .device = "cpu",
         .dtype = "float32",
         .svd_cache = scratch_folder() / "svd"});
  }();
  if (!model) {
    ADD_FAILURE() << model.error().message;
    return nullptr;
  }
  return *model;
}

/// Texts of one kind, which the stories model does not write by itself: a
/// refrain after every sentence. `first` .. `first + count` of an endless row.
inline std::string refrains(int first, int count) {
  static constexpr const char* who[] = {"cat", "dog", "girl", "boy",
                                        "bird", "bear", "fish"};
  static constexpr const char* what[] = {"ran", "sat", "sang", "jumped",
                                         "slept", "played"};
  static constexpr const char* where[] = {"park", "house", "tree", "garden",
                                          "river"};
  std::string text;
  for (int i = first; i < first + count; ++i) {
    for (int line = 0; line < 3; ++line) {
      const int n = i * 3 + line * 11;
      text += std::string{"The "} + who[n % 7] + " " + what[n % 6] +
              " in the " + where[n % 5] + ". Hey ho, hey ho! ";
    }
    text += "\n\n";
  }
  return text;
}

}  // namespace t2
