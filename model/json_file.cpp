#include "model/json_file.hpp"

#include <string>

#include "config/durable_file.hpp"

namespace t2 {
namespace {

constexpr int max_depth = 64;

}  // namespace

result<nlohmann::json> read_json_file(const std::filesystem::path& path,
                                      std::size_t max_bytes) {
  const auto text = read_file(path, max_bytes);
  if (!text) return text.error();
  bool too_deep = false;
  try {
    auto json = nlohmann::json::parse(
        *text, [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
          if (depth > max_depth) too_deep = true;
          return !too_deep;
        });
    if (too_deep)
      return error{ec::corrupt, path.string() + ": expected at most " +
                                    std::to_string(max_depth) +
                                    " levels of JSON, found more"};
    if (!json.is_object())
      return error{ec::corrupt, path.string() +
                                    ": expected a JSON object, found " +
                                    json.type_name()};
    return json;
  } catch (const nlohmann::json::parse_error& problem) {
    return error{ec::corrupt,
                 path.string() + ": expected JSON, found a syntax error at "
                                 "byte " +
                     std::to_string(problem.byte)};
  } catch (const nlohmann::json::exception& problem) {
    return error{ec::corrupt, path.string() + ": expected JSON, found " +
                                  problem.what()};
  }
}

}  // namespace t2
