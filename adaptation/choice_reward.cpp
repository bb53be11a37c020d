#include "adaptation/choice_reward.hpp"

#include <algorithm>
#include <cctype>
#include <string>

#include "adaptation/exact_reward.hpp"

namespace t2 {
namespace {

constexpr std::size_t most_labels = 10;  // A .. J, without a list of choices

std::string lower(std::string_view text) {
  std::string out{text};
  for (char& c : out)
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

bool word_char(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

std::optional<std::size_t> label(char c, std::size_t count, bool digits) {
  if (digits && c >= '1' && c <= '9') {
    const auto index = static_cast<std::size_t>(c - '1');
    if (index < count) return index;
  }
  if (!digits && c >= 'A' && c <= 'Z') {
    const auto index = static_cast<std::size_t>(c - 'A');
    if (index < count) return index;
  }
  return std::nullopt;
}

struct labels {
  std::size_t count = most_labels;
  bool digits = false;
};

// A label at `i` that stands alone, maybe in brackets or stars: "(B)", "**B**".
std::optional<std::size_t> label_at(std::string_view text, std::size_t i,
                                    const labels& known) {
  while (i < text.size() && (text[i] == '(' || text[i] == '[' ||
                             text[i] == '*' || text[i] == ' '))
    ++i;
  if (i >= text.size()) return std::nullopt;
  if (i + 1 < text.size() && word_char(text[i + 1])) return std::nullopt;
  return label(text[i], known.count, known.digits);
}

// "A dog" opens with a word, "A. dog", "A) dog" and "A" with a label.
std::optional<std::size_t> leading_label(std::string_view text,
                                         const labels& known) {
  const auto found = label_at(text, 0, known);
  if (!found) return found;
  const std::size_t i = text.find_first_not_of("([* ");
  const auto rest = text.substr(i + 1);
  if (rest.empty() || std::string_view{".):],*\n"}.find(rest.front()) !=
                          std::string_view::npos)
    return found;
  return std::nullopt;
}

// After the last "answer is", "answer:", "option", with "the" and so on.
std::optional<std::size_t> stated_label(std::string_view text,
                                        const labels& known) {
  const std::string small = lower(text);
  std::optional<std::size_t> last;
  std::size_t last_at = 0;
  for (const std::string_view cue :
       {"answer is", "answer:", "answer is:", "option", "choice"}) {
    for (std::size_t at = small.find(cue); at != std::string::npos;
         at = small.find(cue, at + 1)) {
      std::size_t i = at + cue.size();
      if (i < text.size() && text[i] == ':') ++i;
      if (i < text.size() && word_char(text[i])) continue;
      const auto found = label_at(text, i, known);
      if (found && (!last || at >= last_at)) {
        last = found;
        last_at = at;
      }
    }
  }
  return last;
}

// The one label in brackets, when there is one.
std::optional<std::size_t> bracketed_label(std::string_view text,
                                           const labels& known) {
  std::optional<std::size_t> only;
  for (std::size_t i = 0; i + 2 < text.size(); ++i) {
    if (text[i] != '(' || text[i + 2] != ')') continue;
    const auto found = label(text[i + 1], known.count, known.digits);
    if (!found) continue;
    if (only && *only != *found) return std::nullopt;
    only = found;
  }
  return only;
}

std::optional<std::size_t> by_words(std::string_view text, const example& e) {
  const std::string small = lower(trimmed(text));
  for (std::size_t i = 0; i < e.choices.size(); ++i)
    if (small == lower(trimmed(e.choices[i]))) return i;
  // The longest choice that is named, unless another is named beside it.
  std::optional<std::size_t> only;
  for (std::size_t i = 0; i < e.choices.size(); ++i) {
    const std::string words = lower(trimmed(e.choices[i]));
    bool named = false;
    for (std::size_t at = small.find(words);
         !words.empty() && at != std::string::npos && !named;
         at = small.find(words, at + 1)) {
      const std::size_t end = at + words.size();
      named = (at == 0 || !word_char(small[at - 1])) &&
              (end == small.size() || !word_char(small[end]));
    }
    if (!named) continue;
    if (only) {
      const std::string other = lower(trimmed(e.choices[*only]));
      if (words.find(other) == std::string::npos) {
        if (other.find(words) != std::string::npos) continue;
        return std::nullopt;
      }
    }
    only = i;
  }
  return only;
}

labels labels_of(const example& e) {
  const auto reference = trimmed(e.answer);
  const std::size_t at = reference.find_first_not_of("([");
  return {.count = e.choices.empty() ? most_labels : e.choices.size(),
          .digits = at != std::string_view::npos && reference[at] >= '1' &&
                    reference[at] <= '9' &&
                    (at + 1 == reference.size() ||
                     !word_char(reference[at + 1]))};
}

}  // namespace

std::optional<std::size_t> chosen(std::string_view text, const example& e) {
  const auto answer = trimmed(text);
  // A choice's own words first: they may themselves be a letter or a number.
  for (std::size_t i = 0; i < e.choices.size(); ++i)
    if (answer == trimmed(e.choices[i])) return i;
  const labels known = labels_of(e);
  if (const auto found = leading_label(answer, known)) return found;
  if (const auto found = stated_label(answer, known)) return found;
  if (const auto found = by_words(answer, e)) return found;
  return bracketed_label(answer, known);
}

reward_evidence choice_reward::evidence(const example& e) const {
  return e.choices.empty() ? reward_evidence::text
                           : reward_evidence::choice_likelihoods;
}

result<double> choice_reward::of_text(std::string_view answer,
                                      const example& e) const {
  const auto found = chosen(answer, e);
  return found && found == chosen(e.answer, e) ? 1 : -1;
}

double choice_reward::of_likelihoods(std::span<const double> means,
                                     const example& e) const {
  const auto best = std::max_element(means.begin(), means.end());
  const auto index = static_cast<std::size_t>(best - means.begin());
  return chosen(e.answer, e) == index ? 1 : -1;
}

result<void> choice_reward::check(const example& e) const {
  if (e.choices.size() == 1)
    return error{ec::invalid_argument,
                 "example " + e.id + ": choices: expected 2 or more, found 1"};
  if (!chosen(e.answer, e))
    return error{ec::invalid_argument,
                 "example " + e.id +
                     ": answer: expected the label or the words of a choice, "
                     "found '" +
                     e.answer + "'"};
  return {};
}

}  // namespace t2
