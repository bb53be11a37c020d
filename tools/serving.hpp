#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>

#include "config/options.hpp"
#include "config/result.hpp"
#include "http/server.hpp"

namespace t2 {

/// The limits of a server that these options ask for.
inline server_limits limits_of(const runtime_options& options) {
  server_limits limits;
  limits.body_bytes = static_cast<std::size_t>(options.server.max_body_bytes);
  limits.bodies_bytes = std::max(limits.bodies_bytes, limits.body_bytes);
  return limits;
}

/// Whether the options name a model's folder, before anything is started.
inline result<void> check_model_folder(const runtime_options& options) {
  const std::string& path = options.model.path;
  if (path.empty()) {
    return error{ec::invalid_argument,
                 "model.path: expected the folder of a model, found none: "
                 "give --model-path, T2_MODEL_PATH or path under [model] in "
                 "t2.toml"};
  }
  std::error_code failed;
  if (!std::filesystem::is_directory(path, failed)) {
    return error{
        ec::not_found,
        "model.path: expected the folder of a model, found none at " + path};
  }
  return {};
}

/// Makes the folder that the store lies in, for its owner alone, where there is
/// none: the default one is nobody else's to make.
inline result<void> make_store_folder(const runtime_options& options) {
  const auto folder =
      std::filesystem::absolute(options.store.path).parent_path();
  std::error_code failed;
  if (std::filesystem::exists(folder, failed)) return {};
  if (!std::filesystem::create_directories(folder, failed) && failed) {
    return error{ec::io, "store.path: cannot make the folder " +
                             folder.string() + ": " + failed.message()};
  }
  std::filesystem::permissions(folder, std::filesystem::perms::owner_all,
                               failed);
  return {};
}

}  // namespace t2
