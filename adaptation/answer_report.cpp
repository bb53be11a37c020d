#include "adaptation/answer_report.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "adaptation/exact_reward.hpp"

namespace t2 {
namespace {

using nlohmann::ordered_json;

constexpr std::size_t most_common = 5;
constexpr std::size_t most_shown_bytes = 80;
// A table of more classes tells nobody anything, and of longer references they
// are no classes.
constexpr std::size_t most_classes = 100;
constexpr std::size_t most_class_bytes = 64;

/// Which class an answer is of: that of its example where it is right, else the
/// one whose name in the reference's place would make it right.
class said_class {
 public:
  said_class(std::span<const judged_example> examples,
             const constant_answers& constants)
      : examples_(examples), constants_(constants) {
    for (std::size_t i = 0; i < examples.size(); ++i)
      if (constants.meant(i) != constant_answers::none)
        of_.try_emplace(constants.meant(i), examples[i].source);
  }

  /// The constants that are classes, ascending, with an example of each.
  const std::map<std::size_t, const example*>& classes() const { return of_; }

  std::size_t of(std::size_t item, const judged_answer& answer) const {
    if (answer.right()) return constants_.meant(item);
    const auto& [asked, judge] = examples_[item];
    example other = *asked;
    for (const auto& [c, one] : of_) {
      if (c == constants_.meant(item)) continue;
      other.answer = constants_.texts()[c];
      other.pattern = one->pattern;
      const auto reward = judge->of_text(answer.text, other);
      if (reward && *reward > 0) return c;
    }
    return constant_answers::none;
  }

 private:
  std::span<const judged_example> examples_;
  const constant_answers& constants_;
  std::map<std::size_t, const example*> of_;
};

void tell_classes(answer_report& out, std::span<const judged_example> examples,
                  std::span<const judged_answer> answers,
                  const constant_answers& constants) {
  const said_class said{examples, constants};
  const std::size_t n = said.classes().size();
  if (n < 2 || n > most_classes || 2 * n > answers.size()) return;
  std::map<std::size_t, std::size_t> row;  // of a constant
  for (const auto& [c, one] : said.classes()) {
    if (constants.texts()[c].size() > most_class_bytes) return;
    row.emplace(c, row.size());
  }
  for (std::size_t i = 0; i < answers.size(); ++i)
    if (constants.meant(i) == constant_answers::none) return;
  for (const auto& [c, one] : said.classes())
    out.classes.push_back({.name = constants.texts()[c]});
  out.confusion.assign(n, std::vector<std::size_t>(n + 1));
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const std::size_t meant = row.at(constants.meant(i));
    const std::size_t c = said.of(i, answers[i]);
    const std::size_t column = c == constant_answers::none ? n : row.at(c);
    ++out.confusion[meant][column];
    ++out.classes[meant].meant;
    if (column < n) ++out.classes[column].said;
    if (column == meant) ++out.classes[meant].right;
  }
}

std::optional<answer_report::best_constant> tell_constant(
    std::span<const double> rewards, const constant_answers& constants) {
  if (constants.empty()) return std::nullopt;
  const std::size_t c = constants.best_beside(rewards);
  answer_report::best_constant out{.text = constants.texts()[c],
                                   .reward = constants.mean_reward(c),
                                   .right = 0,
                                   .gain = {}};
  for (const double r : constants.rewards(c)) out.right += r > 0;
  const auto over = compare_with_constant(rewards, constants);
  if (!over) return out;
  std::vector<double> gains;
  for (std::size_t g = 0; g < rewards.size(); ++g)
    gains.push_back(rewards[g] - constants.cross_fitted()[g]);
  out.gain = interval_of(gains);
  out.as_good = out.gain->low <= 0 || !over->better(0);
  return out;
}

}  // namespace

// Not within a character.
std::string shown_answer(std::string_view text) {
  text = trimmed(text);
  if (text.size() <= most_shown_bytes) return std::string{text};
  std::size_t end = most_shown_bytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80)
    --end;
  return std::string{text.substr(0, end)} + "…";
}

double class_figures::precision() const {
  return said == 0 ? 0 : static_cast<double>(right) / static_cast<double>(said);
}

double class_figures::recall() const {
  return meant == 0 ? 0
                    : static_cast<double>(right) / static_cast<double>(meant);
}

std::vector<std::pair<std::string, std::size_t>> commonest(
    std::span<const judged_answer> answers, std::size_t most) {
  std::map<std::string_view, std::size_t> place;
  std::vector<std::pair<std::string_view, std::size_t>> counted;
  for (const judged_answer& answer : answers) {
    const auto text = trimmed(answer.text);
    const auto [at, fresh] = place.try_emplace(text, counted.size());
    if (fresh) counted.emplace_back(text, 0);
    ++counted[at->second].second;
  }
  std::ranges::stable_sort(counted, std::ranges::greater{},
                           [](const auto& one) { return one.second; });
  counted.resize(std::min(most, counted.size()));
  std::vector<std::pair<std::string, std::size_t>> out;
  for (const auto& [text, count] : counted) out.emplace_back(shown_answer(text), count);
  return out;
}

answer_report answer_report::of(std::span<const judged_example> examples,
                                std::span<const judged_answer> answers,
                                const prompt_groups& prompts,
                                const constant_answers& constants) {
  answer_report out;
  out.answers = answers.size();
  out.prompts = prompts.size();
  std::set<std::string_view> texts;
  std::vector<double> rewards;
  for (const judged_answer& answer : answers) {
    texts.insert(trimmed(answer.text));
    rewards.push_back(answer.reward);
    out.right += answer.right();
  }
  out.distinct = texts.size();
  out.common = commonest(answers, most_common);
  out.constant = tell_constant(prompts.means(rewards), constants);
  tell_classes(out, examples, answers, constants);
  return out;
}

ordered_json answer_report::form() const {
  ordered_json form = {{"answers", answers},
                       {"prompts", prompts},
                       {"right", right},
                       {"distinct", distinct},
                       {"common", ordered_json::array()}};
  for (const auto& [text, count] : common)
    form["common"].push_back({{"answer", text}, {"count", count}});
  if (constant) {
    ordered_json& best = form["constant"];
    best = {{"answer", shown_answer(constant->text)},
            {"reward", constant->reward},
            {"right", constant->right}};
    if (constant->gain) {
      best["gain"] = {{"mean", constant->gain->mean},
                      {"low", constant->gain->low},
                      {"high", constant->gain->high}};
      best["as_good"] = constant->as_good;
    }
  }
  for (const class_figures& one : classes)
    form["classes"].push_back({{"class", one.name},
                               {"count", one.meant},
                               {"said", one.said},
                               {"right", one.right},
                               {"precision", one.precision()},
                               {"recall", one.recall()}});
  if (!classes.empty()) form["confusion"] = confusion;
  return form;
}

std::string answer_report::json() const {
  return form().dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace t2
