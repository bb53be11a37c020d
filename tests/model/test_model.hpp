#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>

#include "model/language_model.hpp"
#include "tests/model/test_device.hpp"
#include "tests/paths.hpp"

namespace t2 {

inline std::filesystem::path test_asset(const std::string& name) {
  return tests::assets() / name;
}

/// A folder of this process, for SVD caches and other files.
inline std::filesystem::path test_folder() {
  const auto folder = std::filesystem::path{testing::TempDir()} /
                      ("t2-test-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  return folder;
}

/// A model of tests/assets, on the device of T2_TEST_DEVICE (else the CPU)
/// unless told, with the kernels of that device unless told; null and a failed
/// test if it does not load.
inline std::shared_ptr<language_model> load_test_model(
    const std::string& name, const std::string& dtype,
    const std::string& device = named_test_device() ? named_test_device()
                                                    : "cpu",
    const kernels::backend* backend = nullptr) {
  auto model = language_model::load({.folder = test_asset(name),
                                     .device = device,
                                     .dtype = dtype,
                                     .svd_cache = test_folder() / "svd",
                                     .backend = backend});
  if (!model) {
    ADD_FAILURE() << model.error().message;
    return nullptr;
  }
  return *model;
}

}  // namespace t2
