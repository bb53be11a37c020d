#include "text/pattern.hpp"

#include "text/bridge.hpp"

namespace t2 {

result<bool> pattern_found(std::string_view pattern, std::string_view text) {
  using text_bridge::bytes_of;
  return text_bridge::attempt<bool>([&] {
    return text_rust::pattern_found(bytes_of(pattern), bytes_of(text));
  });
}

}  // namespace t2
