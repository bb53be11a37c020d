#include "text/tokenizer.hpp"

#include "text/bridge.hpp"

namespace t2 {

using namespace text_bridge;

namespace {

constexpr std::uint64_t max_file_bytes = 64 << 20;

}  // namespace

tokenizer::tokenizer(std::unique_ptr<bridge> rust) : bridge_(std::move(rust)) {}
tokenizer::~tokenizer() = default;

result<std::shared_ptr<const tokenizer>> tokenizer::load(
    const std::filesystem::path& folder) {
  const auto file = folder / "tokenizer.json";
  auto json = read_file(file, max_file_bytes);
  if (!json) return json.error();
  if (!*json) return error{ec::not_found, file.string() + ": no such file"};
  auto loaded = parse(**json);
  if (!loaded)
    return error{loaded.error().code,
                 file.string() + ": " + loaded.error().message};
  return loaded;
}

result<std::shared_ptr<const tokenizer>> tokenizer::parse(
    std::string_view json) {
  return attempt<std::shared_ptr<const tokenizer>>([&] {
    auto rust = std::make_unique<bridge>(
        bridge{text_rust::load_tokenizer(bytes_of(json))});
    return std::shared_ptr<const tokenizer>(new tokenizer(std::move(rust)));
  });
}

result<std::vector<token_id>> tokenizer::encode(std::string_view text,
                                                bool add_special_tokens) const {
  return encode_within(default_fuel(text.size()), text, add_special_tokens);
}

std::uint64_t tokenizer::default_fuel(std::size_t bytes) {
  return text_rust::encoding_fuel(bytes);
}

result<std::vector<token_id>> tokenizer::encode_within(
    std::uint64_t fuel, std::string_view text, bool add_special_tokens) const {
  return attempt<std::vector<token_id>>([&] {
    const auto ids =
        bridge_->box->encode(bytes_of(text), add_special_tokens, fuel);
    return std::vector<token_id>(ids.begin(), ids.end());
  });
}

result<std::string> tokenizer::decode(std::span<const token_id> ids,
                                      bool skip_special_tokens) const {
  return attempt<std::string>([&] {
    return string_of(
        bridge_->box->decode({ids.data(), ids.size()}, skip_special_tokens));
  });
}

result<std::string> tokenizer::token_bytes(token_id id) const {
  return attempt<std::string>([&] {
    const auto bytes = text_rust::token_bytes(*bridge_->box, id);
    return std::string(bytes.begin(), bytes.end());
  });
}

int tokenizer::vocab_size() const { return bridge_->box->vocab_size(); }

std::optional<token_id> tokenizer::token_to_id(std::string_view token) const {
  const token_id id = bridge_->box->token_to_id(bytes_of(token));
  return id < 0 ? std::nullopt : std::optional(id);
}

bool tokenizer::is_special(token_id id) const {
  return bridge_->box->is_special(id);
}

}  // namespace t2
