#include "text/bridge.hpp"

#include <charconv>
#include <fstream>
#include <system_error>

namespace t2::text_bridge {

error error_of(const std::exception& thrown) {
  const std::string_view what = thrown.what();
  unsigned code = 0;
  const auto [end, problem] =
      std::from_chars(what.data(), what.data() + what.size(), code);
  const auto digits = static_cast<std::size_t>(end - what.data());
  if (problem != std::errc{} || digits >= what.size() || what[digits] != ' ')
    return {ec::internal, std::string(what)};
  return {static_cast<ec>(code), std::string(what.substr(digits + 1))};
}

result<std::optional<std::string>> read_file(const std::filesystem::path& file,
                                             std::uint64_t limit) {
  std::error_code failed;
  const auto status = std::filesystem::status(file, failed);
  if (status.type() == std::filesystem::file_type::not_found)
    return std::optional<std::string>();
  if (failed) return error{ec::io, file.string() + ": " + failed.message()};
  if (!std::filesystem::is_regular_file(status))
    return error{ec::corrupt, file.string() + ": expected a regular file"};
  const auto size = std::filesystem::file_size(file, failed);
  if (failed) return error{ec::io, file.string() + ": " + failed.message()};
  if (size > limit)
    return error{ec::corrupt, file.string() + ": expected at most " +
                                  std::to_string(limit) + " bytes, found " +
                                  std::to_string(size)};
  std::string bytes(size, '\0');
  std::ifstream in(file, std::ios::binary);
  if (!in.read(bytes.data(), static_cast<std::streamsize>(size)))
    return error{ec::io, file.string() + ": cannot be read"};
  return std::optional<std::string>(std::move(bytes));
}

}  // namespace t2::text_bridge
