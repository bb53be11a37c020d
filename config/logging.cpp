#include "config/logging.hpp"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <cstdio>

namespace t2 {
namespace {

constexpr auto pattern = "%Y-%m-%dT%H:%M:%S.%e %l %v";

spdlog::level::level_enum severity(log_level level) {
  switch (level) {
    case log_level::trace: return spdlog::level::trace;
    case log_level::debug: return spdlog::level::debug;
    case log_level::info: return spdlog::level::info;
    case log_level::warn: return spdlog::level::warn;
    case log_level::error: return spdlog::level::err;
    case log_level::off: return spdlog::level::off;
  }
  return spdlog::level::info;
}

std::shared_ptr<spdlog::logger> standard_error(log_level level) {
  auto made = std::make_shared<spdlog::logger>(
      "t2", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  made->set_pattern(pattern);
  made->set_level(severity(level));
  return made;
}

/// The process's log: spdlog's own default would write to standard output,
/// which belongs to the programs' results.
std::shared_ptr<spdlog::logger>& current() {
  static std::shared_ptr<spdlog::logger> logger =
      standard_error(log_level::warn);
  return logger;
}

std::string one_line(std::string_view message) {
  std::string line;
  line.reserve(message.size());
  for (const char c : message) {
    if (c == '\n') {
      line += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      std::array<char, 8> code{};
      std::snprintf(code.data(), code.size(), "\\x%02x",
                    static_cast<unsigned>(static_cast<unsigned char>(c)));
      line += code.data();
    } else {
      line += c;
    }
  }
  return line;
}

}  // namespace

std::vector<std::string> log_level_names() {
  return {"trace", "debug", "info", "warn", "error", "off"};
}

result<void> start_logging(std::string_view level, const std::string& file) {
  const auto names = log_level_names();
  const auto name = std::find(names.begin(), names.end(), level);
  if (name == names.end()) {
    return t2::error{ec::invalid_argument,
                     "log.level: expected trace, debug, info, warn, error or "
                     "off, found '" +
                         std::string(level) + "'"};
  }
  const auto chosen = static_cast<log_level>(name - names.begin());
  if (file.empty()) {
    current() = standard_error(chosen);
    return {};
  }
  try {
    auto made = std::make_shared<spdlog::logger>(
        "t2", std::make_shared<spdlog::sinks::basic_file_sink_mt>(file));
    made->set_pattern(pattern);
    made->set_level(severity(chosen));
    made->flush_on(severity(log_level::info));
    current() = std::move(made);
  } catch (const std::exception& failure) {
    return t2::error{ec::io, "log.file: expected a writable file, found: " +
                                 one_line(failure.what())};
  }
  return {};
}

void log(log_level level, std::string_view message) {
  if (level == log_level::off || !log_enabled(level)) return;
  current()->log(severity(level), one_line(message));
}

bool log_enabled(log_level level) {
  return current()->should_log(severity(level));
}

}  // namespace t2
