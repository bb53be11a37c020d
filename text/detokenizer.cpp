#include "text/detokenizer.hpp"

#include "text/bridge.hpp"

namespace t2 {

using namespace text_bridge;

struct detokenizer::bridge {
  rust::Box<text_rust::Stream> box;
};

detokenizer::detokenizer(std::shared_ptr<const tokenizer> vocabulary,
                         bool skip_special_tokens)
    : tokenizer_(std::move(vocabulary)),
      bridge_(std::make_unique<bridge>(
          bridge{text_rust::new_stream(skip_special_tokens)})) {}

detokenizer::~detokenizer() = default;
detokenizer::detokenizer(detokenizer&&) noexcept = default;
detokenizer& detokenizer::operator=(detokenizer&&) noexcept = default;

result<std::string> detokenizer::push(token_id id) {
  return attempt<std::string>([&] {
    return string_of(bridge_->box->push(*tokenizer_->bridge_->box, id));
  });
}

result<void> detokenizer::begin_after(std::span<const token_id> ids) {
  auto told = attempt<std::string>([&] {
    return string_of(bridge_->box->begin_after(
        *tokenizer_->bridge_->box, {ids.data(), ids.size()}, false));
  });
  if (!told) return told.error();
  return {};
}

result<std::string> detokenizer::tell_and_begin_after(
    std::span<const token_id> ids) {
  return attempt<std::string>([&] {
    return string_of(bridge_->box->begin_after(
        *tokenizer_->bridge_->box, {ids.data(), ids.size()}, true));
  });
}

result<std::string> detokenizer::finish() {
  return attempt<std::string>([&] {
    return string_of(bridge_->box->finish(*tokenizer_->bridge_->box));
  });
}

}  // namespace t2
