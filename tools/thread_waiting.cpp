#include "tools/thread_waiting.hpp"

#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <vector>

namespace t2 {

void wait_as_asked(const engine_settings& settings, const environment& env,
                   const std::string& program,
                   std::span<const std::string> arguments) {
  constexpr const char* spin = "GOMP_SPINCOUNT";
  // Whoever has set one of them knows better; so do we the second time.
  if (env.contains(spin) || env.contains("OMP_WAIT_POLICY")) return;
  std::error_code failed;
  // By its own path: /proc/self/exe would become the process's name.
  const auto file = std::filesystem::read_symlink("/proc/self/exe", failed);
  if (failed) return;
  std::vector<std::string> variables{std::string(spin) + "=" +
                                     std::to_string(settings.spin)};
  for (const auto& [name, value] : env) variables.push_back(name + "=" + value);
  std::vector<std::string> words{program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  const auto pointers = [](std::vector<std::string>& texts) {
    std::vector<char*> out;
    for (auto& text : texts) out.push_back(text.data());
    out.push_back(nullptr);
    return out;
  };
  ::execve(file.c_str(), pointers(words).data(), pointers(variables).data());
}

}  // namespace t2
