#include "pretraining/pretraining_corpus.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "config/durable_file.hpp"
#include "config/jsonl.hpp"
#include "config/sha256.hpp"
#include "text/tokenizer_training.hpp"

namespace t2 {
namespace {

using nlohmann::json;

constexpr std::size_t most_bytes = std::size_t{1} << 30;

error unexpected(const std::string& where, const std::string& what) {
  return {ec::invalid_argument, where + ": expected " + what};
}

result<std::string> plain_text(const json& value, const std::string& where) {
  if (!value.is_string())
    return unexpected(
        where, "a string, found " + std::string{json_type(value)});
  const auto& text = value.get_ref<const std::string&>();
  for (const auto special : pretrained::special_tokens)
    if (text.find(special) != std::string::npos)
      return unexpected(where, "a text without special tokens, found " +
                                   std::string{special});
  return text;
}

token_id role_token(const std::string& role) {
  return role == "user"        ? pretrained::user
         : role == "assistant" ? pretrained::assistant
         : role == "system"    ? pretrained::system
                               : -1;
}

result<corpus_document> read_line(const json& line, const std::string& where) {
  corpus_document document;
  if (!line.is_object())
    return unexpected(where,
                      "an object, found " + std::string{json_type(line)});
  if (const auto text = line.find("text"); text != line.end()) {
    auto read = plain_text(*text, where + ": text");
    if (!read) return read.error();
    if (read->empty()) return unexpected(where + ": text", "some, found none");
    document.text = *std::move(read);
    return document;
  }
  const auto messages = line.find("messages");
  if (messages == line.end())
    return unexpected(where, "messages or text, found neither");
  if (!messages->is_array() || messages->empty())
    return unexpected(where + ": messages", "an array of messages, found " +
                                                (messages->is_array()
                                                     ? "an empty one"
                                                     : std::string{json_type(
                                                           *messages)}));
  for (std::size_t i = 0; i < messages->size(); ++i) {
    const std::string place = where + ": messages[" + std::to_string(i) + "]";
    const json& one = (*messages)[i];
    if (!one.is_object() || !one.contains("role") || !one.contains("content"))
      return unexpected(place, "an object of role and content");
    auto role = plain_text(one["role"], place + ".role");
    if (!role) return role.error();
    if (role_token(*role) < 0)
      return unexpected(place + ".role", "user, assistant or system, found '" +
                                             *role + "'");
    auto content = plain_text(one["content"], place + ".content");
    if (!content) return content.error();
    document.messages.push_back({*std::move(role), *std::move(content)});
  }
  if (std::ranges::none_of(document.messages, [](const chat_message& one) {
        return one.role == "assistant";
      }))
    return unexpected(where + ": messages",
                      "a turn of the assistant, found none");
  return document;
}

}  // namespace

namespace pretrained {

const char* const chat_template =
    "{% for message in messages %}"
    "{% if message['role'] not in ['user', 'assistant', 'system'] %}"
    "{{ raise_exception('expected the roles user, assistant and system') }}"
    "{% endif %}"
    "{{ '<|' + message['role'] + '|>\\n' + message['content'] + "
    "'<|end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}";

}  // namespace pretrained

result<pretraining_corpus> pretraining_corpus::read(
    const std::filesystem::path& file) {
  auto bytes = read_file(file, most_bytes);
  if (!bytes) return bytes.error();
  pretraining_corpus corpus;
  corpus.sha256 = sha256_hex(*bytes);
  jsonl_reader reader{
      std::make_unique<std::istringstream>(*std::move(bytes)), file.string()};
  for (;;) {
    auto next = reader.next();
    if (!next) return next.error();
    if (!*next) break;
    auto document = read_line(
        (*next)->value, file.string() + ":" + std::to_string((*next)->number));
    if (!document) return document.error();
    document->line = (*next)->number;
    corpus.documents.push_back(*std::move(document));
  }
  if (corpus.documents.empty())
    return unexpected(file.string(), "documents to learn from, found none");
  return corpus;
}

result<std::string> pretraining_corpus::train_tokenizer(int vocabulary) const {
  std::vector<std::string_view> texts;
  for (const auto& document : documents) {
    if (document.messages.empty()) texts.push_back(document.text);
    for (const auto& one : document.messages) texts.push_back(one.content);
  }
  return t2::train_tokenizer(texts, vocabulary, pretrained::special_tokens);
}

result<tokenized_document> tokenize(const corpus_document& document,
                                    const tokenizer& vocabulary,
                                    bool answers_only) {
  tokenized_document out;
  const auto add = [&](token_id token, bool counted) {
    out.tokens.push_back(token);
    out.counts.push_back(counted && out.tokens.size() > 1);
  };
  std::optional<error> failure;
  const auto add_text = [&](const std::string& text, bool counted) {
    const auto ids = vocabulary.encode(text, false);
    if (!ids) {
      failure = ids.error();
      return;
    }
    for (const auto id : *ids) add(id, counted);
  };
  if (document.messages.empty()) {
    add_text(document.text, true);
    add(pretrained::end, true);
  }
  for (std::size_t i = 0; i < document.messages.size(); ++i) {
    const auto& one = document.messages[i];
    if (i > 0) add_text("\n", !answers_only);
    add(role_token(one.role), !answers_only);
    if (one.role == "assistant") {
      add_text("\n", !answers_only);
      add_text(one.content, true);
    } else {
      add_text("\n" + one.content, !answers_only);
    }
    add(pretrained::end, !answers_only || one.role == "assistant");
  }
  if (failure)
    return error{failure->code, "line " + std::to_string(document.line) +
                                    ": " + failure->message};
  return out;
}

}  // namespace t2
