#include "http/event_stream.hpp"

#include <utility>

namespace t2 {

void event_stream::feed(std::string_view text,
                        const std::function<void(server_event)>& on_event) {
  rest_ += text;
  std::size_t begin = 0;
  for (;;) {
    const auto end = rest_.find('\n', begin);
    if (end == std::string::npos) break;
    std::string_view line(rest_.data() + begin, end - begin);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    take_line(line, on_event);
    begin = end + 1;
  }
  rest_.erase(0, begin);
}

void event_stream::take_line(
    std::string_view line, const std::function<void(server_event)>& on_event) {
  if (line.empty()) {
    auto whole = std::exchange(event_, {});
    if (std::exchange(has_data_, false)) on_event(std::move(whole));
    return;
  }
  const auto colon = line.find(':');
  const auto field = line.substr(0, colon);
  auto value = colon == std::string_view::npos ? std::string_view()
                                               : line.substr(colon + 1);
  if (!value.empty() && value.front() == ' ') value.remove_prefix(1);
  if (field == "event") event_.name = value;
  if (field == "data") {
    if (has_data_) event_.data += '\n';
    event_.data += value;
    has_data_ = true;
  }
}

}  // namespace t2
