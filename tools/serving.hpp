#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "config/options.hpp"
#include "config/result.hpp"
#include "http/descriptors.hpp"
#include "http/server.hpp"

namespace t2 {

/// The limits of a server that these options ask for.
inline server_limits limits_of(const runtime_options& options) {
  server_limits limits;
  limits.body_bytes = static_cast<std::size_t>(options.server.max_body_bytes);
  limits.bodies_bytes = std::max(limits.bodies_bytes, limits.body_bytes);
  return limits;
}

/// The limits of a daemon: as many connections as the process may open files
/// for. ec::exhausted when it may hardly open any.
inline result<server_limits> daemon_limits_of(const runtime_options& options) {
  constexpr std::size_t files = 64;        // the model, the store, logs
  constexpr std::size_t of_a_program = 8;  // pipes to the sandbox
  server_limits limits = limits_of(options);
  const std::size_t programs =
      options.rewards.workers > 0
          ? static_cast<std::size_t>(options.rewards.workers)
          : std::max(1u, std::thread::hardware_concurrency());
  const auto fit = connections_that_fit(limits.connections,
                                        2 * limits.kept_connections,
                                        files + of_a_program * programs);
  if (!fit) return fit.error();
  limits.connections = *fit;
  return limits;
}

/// TCP as these options ask for it; none: not at all. Reads the keys;
/// ec::invalid_argument where half of TLS is given.
inline result<std::optional<tcp_settings>> tcp_settings_of(
    const server_options& options) {
  if (options.listen.empty()) return std::optional<tcp_settings>();
  if (options.tls_certificate.empty() != options.tls_key.empty()) {
    const bool key = options.tls_key.empty();
    const std::string missing = key ? "tls_key" : "tls_certificate";
    const std::string given = key ? "tls_certificate" : "tls_key";
    return error{ec::invalid_argument, "server." + missing +
                                           ": expected a file beside server." +
                                           given + ", found none"};
  }
  auto listen = parse_host_port(options.listen);
  if (!listen) return listen.error();
  tcp_settings tcp{.listen = *std::move(listen),
                   .administer_remotely = options.administer_remotely,
                   .certificate = options.tls_certificate,
                   .certificate_key = options.tls_key};
  if (!options.keys.empty()) {
    auto keys = key_ring::read(options.keys);
    if (!keys) return keys.error();
    tcp.keys = std::make_shared<const key_ring>(*std::move(keys));
  }
  return std::optional(std::move(tcp));
}

/// Whether the options name a model, before anything is started.
inline result<void> check_model_path(const runtime_options& options) {
  const std::string& path = options.model.path;
  if (path.empty()) {
    return error{ec::invalid_argument,
                 "model.path: expected the folder of a model or a GGUF file, "
                 "found none: give --model-path, T2_MODEL_PATH or path under "
                 "[model] in t2.toml"};
  }
  std::error_code failed;
  if (!std::filesystem::is_directory(path, failed) &&
      !std::filesystem::is_regular_file(path, failed)) {
    return error{ec::not_found,
                 "model.path: expected the folder of a model or a GGUF file, "
                 "found none at " + path};
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
