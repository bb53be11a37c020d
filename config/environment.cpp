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

}  // namespace t2
