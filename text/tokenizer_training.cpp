#include "text/tokenizer_training.hpp"

#include <algorithm>
#include <vector>

#include "text/bridge.hpp"

namespace t2 {

using namespace text_bridge;

result<std::string> train_tokenizer(
    std::span<const std::string_view> texts, int vocabulary,
    std::span<const std::string_view> special_tokens) {
  std::string all;
  std::vector<std::size_t> ends;
  for (const auto text : texts) {
    all += text;
    ends.push_back(all.size());
  }
  return attempt<std::string>([&] {
    std::vector<rust::Str> specials;
    for (const auto token : special_tokens)
      specials.emplace_back(token.data(), token.size());
    return string_of(text_rust::train_tokenizer(
        bytes_of(all), {ends.data(), ends.size()},
        static_cast<std::size_t>(std::max(0, vocabulary)),
        {specials.data(), specials.size()}));
  });
}

}  // namespace t2
