#include "http/json.hpp"

namespace t2 {

std::string dump_json(const ordered_json& value) {
  return value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

ordered_json embedded_json(std::string_view text) {
  ordered_json value = ordered_json::parse(text, nullptr, false);
  if (value.is_discarded()) return std::string(text);
  return value;
}

}  // namespace t2
