#include "tools/routed.hpp"

#include "adaptation/leak_guard.hpp"

namespace t2 {
namespace {

constexpr const char* text_path = "/v1/completions";
constexpr const char* chat_path = "/v1/chat/completions";

result<ordered_json> route_of(const api_client& api, const char* path,
                              ordered_json body, const std::string& target) {
  body["model"] = target;
  body["route_only"] = true;
  const auto answer = api.post(path, body);
  if (!answer) return answer.error();
  return answer->at("t2");
}

}  // namespace

result<ordered_json> routed(const api_client& api, const std::string& target,
                            const std::string& prompt) {
  return route_of(api, text_path, {{"prompt", prompt}}, target);
}

result<confusion_matrix> classify_all(
    const api_client& api, const interrupt& signals, const std::string& target,
    const test_set& set, const std::function<void(std::size_t)>& on_done) {
  confusion_matrix matrix;
  for (const example& line : set.examples) {
    if (signals.signal() != 0) return error{ec::cancelled, "interrupted"};
    ordered_json body;
    if (line.messages.empty()) {
      body["prompt"] = line.prompt;
    } else {
      body["messages"] = ordered_json::array();
      for (const chat_message& m : line.messages)
        body["messages"].push_back({{"role", m.role}, {"content", m.content}});
    }
    const auto route =
        route_of(api, line.messages.empty() ? text_path : chat_path, body,
                 target);
    if (!route) return route.error();
    if (!route->at("label").is_string())
      return error{ec::invalid_argument,
                   "pass 1: expected a class, found none: " +
                       route->value("reason", std::string{"no reason"})};
    matrix.add(line.answer, route->at("label"), prompt_hash(line));
    on_done(matrix.total());
  }
  return matrix;
}

}  // namespace t2
