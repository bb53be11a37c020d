#include "tools/session.hpp"

#include <unistd.h>

#include <array>
#include <ctime>

#include "config/durable_file.hpp"
#include "config/terminal.hpp"

namespace t2 {

bool session::json() const {
  return arguments().get<bool>("json");
}

result<const api_client*> session::api() {
  return open(false);
}

result<const api_client*> session::ready_api() {
  auto opened = open(true);
  if (!opened) return opened.error();
  if (auto ready = runtime_->wait_until_ready(); !ready) return ready.error();
  return opened;
}

result<const api_client*> session::open(bool with_model) {
  if (!runtime_) {
    auto opened = runtime_access::open(
        options(), signals_, [this](const std::string& line) { tell(line); },
        with_model);
    if (!opened) return opened.error();
    runtime_ = *std::move(opened);
  }
  return &runtime_->api();
}

void session::tell(const std::string& line) {
  err_ << "t2: " << printable(line) << "\n" << std::flush;
}

void session::tell_interrupted(const std::string& how,
                               const std::string& command) {
  tell(how);
  tell("to go on: " + command);
}

void session::print_json(const ordered_json& value) {
  out_ << value.dump(2, ' ', false, ordered_json::error_handler_t::replace)
       << "\n";
}

void session::print_table(const table& rows) {
  out_ << rows.print(is_terminal(1) ? terminal_width(1, env_) : 0);
}

option json_option() {
  return {.name = "json",
          .kind = option_kind::boolean,
          .value = false,
          .help = "print JSON for programs"};
}

std::string print_time(std::int64_t microseconds) {
  const std::time_t seconds = microseconds / 1'000'000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 32> text;
  const auto length =
      std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &parts);
  return {text.data(), length};
}

result<void> write_output(const std::string& path, const std::string& bytes) {
  return write_file_durably(path, std::string_view(bytes),
                            readable_by::owner);
}

}  // namespace t2
