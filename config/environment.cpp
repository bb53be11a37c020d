#include "config/environment.hpp"

#include <unistd.h>

namespace t2 {

environment process_environment() {
  environment env;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const auto equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    env.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return env;
}

std::string_view variable(const environment& env, std::string_view name) {
  const auto found = env.find(name);
  return found == env.end() ? std::string_view() : found->second;
}

std::string xdg_path(const environment& env, std::string_view name,
                     std::string_view fallback, std::string_view rest) {
  std::string base(variable(env, name));
  if (base.empty() || base.front() != '/') {
    base = std::string(variable(env, "HOME")) + "/" + std::string(fallback);
  }
  return base + "/" + std::string(rest);
}

}  // namespace t2
