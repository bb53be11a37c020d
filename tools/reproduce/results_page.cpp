#include "tools/reproduce/results_page.hpp"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <limits>

#include "adaptation/paired_interval.hpp"
#include "config/durable_file.hpp"
#include "tools/confusion.hpp"
#include "tools/reproduce/line_plot.hpp"

namespace t2::reproduce {
namespace {

using demo::family;
using numbers = std::vector<double>;

std::string name_of(family f) { return std::string{demo::to_string(f)}; }

std::string format(const char* pattern, auto... values) {
  char text[512];
  std::snprintf(text, sizeof text, pattern, values...);
  return text;
}

std::string percent(double share) { return format("%.1f %%", 100 * share); }

/// Points, with where they may lie.
struct gain {
  double mean = 0, low = 0, high = 0;
  bool above() const { return low > 0; }
  bool below() const { return high < 0; }
};

std::string text_of(const gain& g) {
  return format("%+.1f [%+.1f, %+.1f]", 100 * g.mean, 100 * g.low,
                100 * g.high);
}

double mean(const numbers& values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

numbers right_of(const std::string& bits) {
  numbers out;
  for (const char c : bits) out.push_back(c == '1' ? 1 : 0);
  return out;
}

void table_row(std::string& page, const std::vector<std::string>& cells) {
  page += "|";
  for (const auto& cell : cells) page += " " + cell + " |";
  page += "\n";
}

void table_head(std::string& page, const std::vector<std::string>& titles) {
  table_row(page, titles);
  page += "|";
  for (std::size_t i = 0; i < titles.size(); ++i) page += "---|";
  page += "\n";
}

/// What a training's answers to a test set were, over the seeds.
struct trained {
  numbers base, after;  // accuracy under each seed
  gain change;          // mean; the lowest and highest end of any interval
};

/// What a target's answers to a test set were: for each question the share of
/// seeds under which it was right.
struct answered {
  numbers share;
  numbers accuracy;  // under each seed
};

class results {
 public:
  results(const measurements& log, const scope& extent)
      : log_(log), extent_(extent) {}

  bool was_trained(family f, const std::string& recipe) const {
    return std::ranges::all_of(extent_.seeds, [&](auto seed) {
      return log_.has(training_id(f, recipe, seed));
    });
  }

  trained training(family on, const std::string& recipe, family test) const {
    trained out;
    out.change = {0, std::numeric_limits<double>::max(),
                  std::numeric_limits<double>::lowest()};
    for (const auto seed : extent_.seeds) {
      const auto& t = log_.at(training_id(on, recipe, seed))
                          .at("tests")
                          .at(name_of(test));
      // Rewards are +1 and -1: half a difference is one of accuracies.
      out.base.push_back((1 + t.at("base_reward").get<double>()) / 2);
      out.after.push_back((1 + t.at("reward").get<double>()) / 2);
      out.change.low =
          std::min(out.change.low, t.at("low").get<double>() / 2);
      out.change.high =
          std::max(out.change.high, t.at("high").get<double>() / 2);
    }
    out.change.mean = mean(out.after) - mean(out.base);
    return out;
  }

  answered strategy(family f, const std::string& target) const {
    return gather([&](std::uint64_t seed) {
      return log_.at(strategies_id(f, seed)).at(target).get<std::string>();
    });
  }

  /// Of a search: where it stayed on the base, the base's.
  answered search(family f, const std::function<std::string(std::uint64_t)>&
                                id) const {
    return gather([&](std::uint64_t seed) {
      const auto& found = log_.at(id(seed));
      return found.contains("right")
                 ? found.at("right").get<std::string>()
                 : log_.at(strategies_id(f, seed))
                       .at("base")
                       .get<std::string>();
    });
  }
  answered few_shot(family f, std::size_t shots) const {
    return search(f, [&](auto seed) { return few_shot_id(f, shots, seed); });
  }

  /// Paired over questions, each the mean of the seeds.
  static gain over(const answered& a, const answered& b) {
    numbers differences;
    for (std::size_t i = 0; i < a.share.size(); ++i)
      differences.push_back(a.share[i] - b.share[i]);
    const auto found = interval_of(differences);
    return {found.mean, found.low, found.high};
  }

  std::size_t accepted(const std::function<std::string(std::uint64_t)>& id)
      const {
    std::size_t count = 0;
    for (const auto seed : extent_.seeds)
      count += log_.at(id(seed)).at("accepted").get<bool>();
    return count;
  }

  const ordered_json& at(const std::string& id) const { return log_.at(id); }
  bool has(const std::string& id) const { return log_.has(id); }
  const scope& extent() const { return extent_; }

 private:
  answered gather(
      const std::function<std::string(std::uint64_t)>& bits) const {
    answered out;
    for (const auto seed : extent_.seeds) {
      const numbers right = right_of(bits(seed));
      out.share.resize(right.size());
      for (std::size_t i = 0; i < right.size(); ++i)
        out.share[i] += right[i] / static_cast<double>(extent_.seeds.size());
      out.accuracy.push_back(mean(right));
    }
    return out;
  }

  const measurements& log_;
  const scope& extent_;
};

std::string each(const numbers& accuracy) {
  std::string out = percent(mean(accuracy));
  if (accuracy.size() < 2) return out;
  out += " (";
  for (std::size_t i = 0; i < accuracy.size(); ++i)
    out += (i ? ", " : "") + format("%.1f", 100 * accuracy[i]);
  return out + ")";
}

const study_family& family_of(family relative) {
  for (const study_family& one : study_families())
    if (std::ranges::find(one.relatives, relative) != one.relatives.end())
      return one;
  return study_families().front();
}

/// The paper's claims with what was found.
class verdicts {
 public:
  void add(const std::string& claim, bool holds, const std::string& found,
           const std::string& likely_reason) {
    text_ += "- **" + claim + "** " + (holds ? "Holds" : "Does not hold") +
             " here: " + found + ".";
    if (!holds && !likely_reason.empty()) text_ += " " + likely_reason;
    text_ += "\n";
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

void table_1(std::string& page, const results& r, verdicts& says) {
  page += "## Table 1: each family's expert\n\n"
          "Accuracy of greedy answers to the family's test. In brackets each "
          "seed; the gain's\ninterval runs from the lowest to the highest end "
          "of the seeds' paired 95 % intervals.\n\n";
  table_head(page, {"family", "base", "LoRA", "SVF", "gain of LoRA",
                    "gain of SVF"});
  bool all_above = true;
  std::size_t beaten = 0, compared = 0;
  for (const study_family& one : study_families()) {
    const auto svf = r.training(one.grown_on, expert_recipe, one.grown_on);
    all_above = all_above && svf.change.above();
    std::vector<std::string> cells{name_of(one.grown_on), each(svf.base)};
    if (r.was_trained(one.grown_on, lora_recipe)) {
      const auto lora = r.training(one.grown_on, lora_recipe, one.grown_on);
      ++compared;
      beaten += mean(svf.after) >= mean(lora.after);
      cells.insert(cells.end(), {each(lora.after), each(svf.after),
                                 text_of(lora.change), text_of(svf.change)});
    } else {
      cells.insert(cells.end(),
                   {"", each(svf.after), "", text_of(svf.change)});
    }
    table_row(page, cells);
  }
  page += "\n";
  says.add("SVF experts by reinforcement improve on the base (table 1).",
           all_above,
           all_above ? "under every seed, every interval lies above zero"
                     : "not in every family under every seed", "");
  says.add("SVF is as good as LoRA or better at the same budget (table 1: on "
           "two of three).",
           3 * beaten >= 2 * compared && compared > 0,
           format("on %zu of %zu families", beaten, compared),
           "LoRA can write what the base lacks; z can only turn up what is "
           "there, and it has a ninth of the parameters.");
}

void table_2(std::string& page, const results& r, verdicts& says) {
  page += "## Table 2: relatives that no expert was grown on\n\n"
          "LoRA is the family's adapter. Intervals are of the gain over the "
          "base in points: paired\nbootstrap over questions, each the mean of "
          "the seeds (LoRA: as in table 1).\n\n";
  table_head(page, {"relative", "base", "LoRA", "prompt", "classifier",
                    "few-shot, 5"});
  std::size_t lora_below = 0, loras = 0, few_above = 0, few_below = 0;
  std::size_t few_under_prompt = 0;
  numbers of[3];
  for (const family f : relatives()) {
    const auto base = r.strategy(f, "base");
    const answered found[3] = {r.strategy(f, "auto:prompt"),
                               r.strategy(f, "auto:classifier"),
                               r.few_shot(f, 5)};
    std::vector<std::string> cells{name_of(f), percent(mean(base.accuracy))};
    const family grown_on = family_of(f).grown_on;
    if (r.was_trained(grown_on, lora_recipe)) {
      const auto lora = r.training(grown_on, lora_recipe, f);
      ++loras;
      lora_below += lora.change.mean < 0;
      cells.push_back(percent(mean(lora.after)) + ", " +
                      text_of(lora.change));
    } else {
      cells.push_back("");
    }
    for (std::size_t s = 0; s < 3; ++s) {
      of[s].push_back(mean(found[s].accuracy));
      cells.push_back(percent(mean(found[s].accuracy)) + ", " +
                      text_of(results::over(found[s], base)));
    }
    const gain few = results::over(found[2], base);
    few_above += few.above();
    few_below += few.below();
    few_under_prompt += results::over(found[2], found[0]).below();
    table_row(page, cells);
  }
  page += "\n";
  const std::size_t count = relatives().size();
  says.add("LoRA loses on unseen tasks (table 2: below the base on two of "
           "three).",
           3 * lora_below >= 2 * loras && loras > 0,
           format("below on %zu of %zu", lora_below, loras),
           "In this world the careful writer is one trait of all families: "
           "what brings it out in one brings it out in its relatives, by "
           "whatever method.");
  says.add("Few-shot adaptation is above the base on unseen tasks (table 2: "
           "on all).",
           few_above == count,
           format("above on %zu of %zu, below on %zu", few_above, count,
                  few_below),
           "");
  const bool ordered = mean(of[2]) + 0.005 >= mean(of[1]) &&
                       mean(of[1]) + 0.005 >= mean(of[0]);
  says.add("Few-shot is at least as good as the classifier, and that as the "
           "prompt (table 2).",
           ordered && few_under_prompt == 0,
           "means " + percent(mean(of[0])) + " (prompt), " +
               percent(mean(of[1])) + " (classifier), " +
               percent(mean(of[2])) + " (few-shot)" +
               format(", but few-shot is below the prompt on %zu of %zu",
                      few_under_prompt, count),
           "Where pass 1 names the right expert it gives that expert whole; a "
           "search of few examples may not believe it and stay on the base.");
}

result<void> shots(std::string& page, const results& r, verdicts& says,
                   const std::filesystem::path& folder) {
  page += "## Shots\n\n"
          "Accuracy after a search by so many examples, mean of the seeds; how "
          "many of the seeds'\nsearches were accepted is in brackets. One "
          "example cannot be held out, and is believed\nonly against great "
          "odds.\n\n";
  std::vector<std::string> head{"relative", "base"};
  for (const auto n : r.extent().shots) head.push_back(std::to_string(n));
  table_head(page, head);
  std::vector<plot_series> lines;
  numbers at_ten, at_most;
  for (const family f : relatives()) {
    const double base = mean(r.strategy(f, "base").accuracy);
    std::vector<std::string> cells{name_of(f), percent(base)};
    plot_series line{name_of(f), {{0, 100 * base}}};
    for (const auto n : r.extent().shots) {
      const double found = mean(r.few_shot(f, n).accuracy);
      const auto id = [&](auto seed) { return few_shot_id(f, n, seed); };
      cells.push_back(percent(found) +
                      format(" (%zu/%zu)", r.accepted(id),
                             r.extent().seeds.size()));
      line.points.emplace_back(static_cast<double>(n), 100 * found);
      if (n == 10) at_ten.push_back(found);
      if (n == r.extent().shots.back()) at_most.push_back(found);
    }
    table_row(page, cells);
    lines.push_back(std::move(line));
  }
  page += "\n![Accuracy against shots](results/shots.svg)\n\n";
  if (!at_ten.empty())
    says.add("More than about 10 shots add nothing (figure 4).",
             mean(at_most) - mean(at_ten) < 0.02,
             percent(mean(at_ten)) + " at 10, " + percent(mean(at_most)) +
                 " at " + std::to_string(r.extent().shots.back()),
             "");
  return write_file_durably(
      folder / "shots.svg",
      std::string_view{line_plot({.title = "Few-shot adaptation",
                                  .x_label = "examples",
                                  .y_label = "accuracy, %",
                                  .low = 0,
                                  .high = 100},
                                 lines)});
}

void ablation(std::string& page, const results& r, verdicts& says) {
  page += "## Ablation\n\nAccuracy on the family's own test, and on its "
          "relatives' (their mean); gains as in\ntable 1.\n\n";
  table_head(page, {"family", "trained", "own test", "gain", "relatives"});
  const auto relatives_of = [&](const study_family& on, const recipe& by) {
    numbers all;
    for (const family f : on.relatives)
      all.push_back(mean(r.training(on.grown_on, by.name, f).after));
    return mean(all);
  };
  std::map<std::string, numbers> own;  // of families that have all
  for (const study_family& on : study_families())
    for (const recipe& by : recipes()) {
      if (!r.was_trained(on.grown_on, by.name)) continue;
      const auto found = r.training(on.grown_on, by.name, on.grown_on);
      if (std::ranges::all_of(recipes(), [&](const recipe& other) {
            return r.was_trained(on.grown_on, other.name);
          }))
        own[by.name].push_back(mean(found.after));
      table_row(page, {name_of(on.grown_on),
                       by.method + (by.targets.empty() ? "" : ", " + by.targets) +
                           ", " + by.objective,
                       each(found.after), text_of(found.change),
                       percent(relatives_of(on, by))});
    }
  page += "\n";
  const auto of = [&](const char* name) { return mean(own[name]); };
  says.add("MLP projections matter more than attention's, both are best "
           "(table 4).",
           of("svf-mlp") >= of("svf-attention") &&
               of("svf") + 0.005 >= of("svf-mlp"),
           "MLP " + percent(of("svf-mlp")) + ", attention " +
               percent(of("svf-attention")) + ", both " + percent(of("svf")),
           "");
  says.add("Policy gradient is better than next-token for SVF (table 4).",
           of("svf") > of("svf-next-token"),
           percent(of("svf")) + " by policy gradient, " +
               percent(of("svf-next-token")) + " by next-token",
           "The references here are all by one careful writer whose every "
           "word the base knows: imitation has no style to copy beside the "
           "skill.");
}

void forms(std::string& page, const results& r) {
  page += "## Forms of a mixture\n\nA search by 5 examples: one alpha for an "
          "expert, or for an expert and projection; the\ndelta rule, or the "
          "paper's. Gain over the base as in table 2.\n\n";
  table_head(page, {"relative", "expert, delta", "expert, paper",
                    "projection, delta", "projection, paper"});
  for (const family f : relatives()) {
    if (!r.has(form_id(f, "expert", "paper", r.extent().seeds.front())))
      continue;
    const auto base = r.strategy(f, "base");
    std::vector<std::string> cells{
        name_of(f), text_of(results::over(r.few_shot(f, 5), base))};
    for (const auto& [per, rule] :
         {std::pair{"expert", "paper"}, std::pair{"projection", "delta"},
          std::pair{"projection", "paper"}})
      cells.push_back(text_of(results::over(
          r.search(f, [&](auto seed) { return form_id(f, per, rule, seed); }),
          base)));
    table_row(page, cells);
  }
  page += "\n";
}

void confusion_table(std::string& page, const confusion_matrix& matrix) {
  std::vector<std::string> labels = matrix.labels();
  std::ranges::sort(labels);
  std::vector<std::string> head{"meant"};
  for (const auto& label : labels) head.push_back("said " + label);
  table_head(page, head);
  for (const auto& meant : labels) {
    std::vector<std::string> cells{meant};
    for (const auto& said : labels)
      cells.push_back(std::to_string(matrix.count(meant, said)));
    table_row(page, cells);
  }
  page += "\n";
}

void pass_1(std::string& page, const results& r, verdicts& says) {
  page += "## Pass 1\n\nLabelled queries of all families and relatives that no "
          "classifier has seen.\n\n";
  for (const std::string strategy : {"prompt", "classifier"}) {
    numbers accuracy;
    confusion_matrix sum;
    for (const auto seed : r.extent().seeds) {
      const auto& form = r.at(confusion_id(strategy, seed));
      accuracy.push_back(form.at("accuracy"));
      const auto one = confusion_matrix::of_form(form);
      for (const auto& meant : one.labels())
        for (const auto& said : one.labels())
          for (std::size_t n = one.count(meant, said); n > 0; --n)
            sum.add(meant, said, sum.total());
      // The base says the same whatever the seed.
      if (strategy == "prompt") break;
    }
    page += "By the " + std::string{strategy == "prompt" ? "base" : "classifier"} +
            " (" + strategy + "): " + each(accuracy) + " right" +
            (accuracy.size() > 1 ? ", the matrices of the seeds added up"
                                 : "") +
            ".\n\n";
    confusion_table(page, sum);
  }
  table_head(page, {"queries at once", "pass 1", "pass 2, 64 tokens",
                    "pass 1 / pass 2"});
  double largest = 0;
  for (const std::size_t n : {std::size_t{1}, std::size_t{8}}) {
    const auto& found = r.at(passes_id(n));
    largest = std::max(largest, found.at("ratio").get<double>());
    table_row(page, {std::to_string(n),
                     format("%.2f ms", 1e3 * found.at("pass_1").get<double>()),
                     format("%.2f ms", 1e3 * found.at("pass_2").get<double>()),
                     format("%.2f", found.at("ratio").get<double>())});
  }
  page += "\n";
  says.add("Pass 1 costs 13 to 47 % of pass 2 (table 5).", largest <= 0.47,
           format("%.0f %% at most, since labels are scored and none is "
                  "generated",
                  100 * largest),
           "");
}

result<void> pools(std::string& page, const results& r,
                   const std::filesystem::path& folder) {
  page += "## The number of experts\n\nA search by 5 examples of math-hard "
          "among K experts: three trained, the rest with their\nz shuffled. "
          "With preselection at most 4 are searched, those likeliest alone.\n\n";
  table_head(page, {"K", "seconds", "tokens", "log-likelihood",
                    "seconds, all searched", "log-likelihood, all searched"});
  plot_series with{"4 preselected", {}}, without{"all searched", {}};
  double most = 0;
  for (const std::size_t k : r.extent().pool) {
    const auto& a = r.at(pool_id(k, true));
    const auto& b = r.at(pool_id(k, false));
    const auto seconds = [](const ordered_json& found) {
      return found.at("cost").at("seconds").get<double>();
    };
    const auto score = [](const ordered_json& found) {
      return format("%.4f",
                    found.at("best").at("log_likelihood").get<double>());
    };
    table_row(page, {std::to_string(k), format("%.1f", seconds(a)),
                     std::to_string(
                         a.at("cost").at("tokens").get<std::int64_t>()),
                     score(a), format("%.1f", seconds(b)), score(b)});
    with.points.emplace_back(static_cast<double>(k), seconds(a));
    without.points.emplace_back(static_cast<double>(k), seconds(b));
    most = std::max({most, seconds(a), seconds(b)});
  }
  page += "\n![Seconds against the number of experts](results/experts.svg)\n\n";
  return write_file_durably(
      folder / "experts.svg",
      std::string_view{line_plot({.title = "Cost of a search",
                                  .x_label = "experts",
                                  .y_label = "seconds",
                                  .low = 0,
                                  .high = most * 1.1 + 1e-9},
                                 {with, without})});
}

void controls(std::string& page, const results& r, verdicts& says) {
  page += "## Shuffled experts\n\n**The found mixture, shuffled.** Its z in "
          "another order within each projection, on the same\nquestions.\n\n";
  table_head(page, {"relative", "gain of the mixture", "gain of it shuffled"});
  bool none_gains = true;
  for (const family f : relatives()) {
    bool all = true;
    for (const auto seed : r.extent().seeds)
      all = all && r.has(control_id(f, seed));
    if (!all) continue;
    const auto base = r.strategy(f, "base");
    const auto shuffled =
        r.search(f, [&](auto seed) { return control_id(f, seed); });
    const gain change = results::over(shuffled, base);
    none_gains = none_gains && !change.above();
    table_row(page, {name_of(f), text_of(results::over(r.few_shot(f, 5), base)),
                     text_of(change)});
  }
  page += "\n";
  says.add("Shuffled z do not help (section 4.4).", none_gains,
           none_gains ? "no interval of a shuffled mixture lies above zero"
                      : "the interval of a shuffled mixture lies above zero",
           "A random change of the singular values tilts the base towards one "
           "writer or the other.");

  std::size_t searches = 0, accepted = 0, better = 0, worse = 0, by_base = 0;
  for (const auto seed : r.extent().seeds)
    for (const family f : relatives())
      for (std::size_t draw = 0; draw < r.extent().null_draws; ++draw) {
        const auto& found = r.at(null_id(f, draw, seed));
        ++searches;
        const auto& held_out = found.at("scores").at("held_out");
        by_base += held_out.at("gain").get<double>() >
                   held_out.at("standard_error").get<double>();
        if (!found.at("accepted").get<bool>()) continue;
        ++accepted;
        const auto before = right_of(r.at(strategies_id(f, seed)).at("base"));
        const auto after = right_of(found.at("right"));
        numbers change;
        for (std::size_t i = 0; i < after.size(); ++i)
          change.push_back(after[i] - before[i]);
        const auto interval = interval_of(change);
        better += interval.low > 0;
        worse += interval.high < 0;
      }
  page += "**Searches among shuffled experts.** " +
          format("%zu searches by 5 examples among three experts whose z are "
                 "shuffled:\n%zu gain more than one standard error of likelihood "
                 "on held-out shots, %zu were accepted. Of\nthese %zu "
                 "answer the test better than the base (the interval lies above "
                 "zero), %zu worse, and\n%zu alike: those and the worse ones "
                 "are false accepts, **%.0f %%** of the searches. In a\nworld of "
                 "two writers a random change of scale tilts towards the "
                 "careful one every other\ntime, and the best of a population "
                 "is found by that.\n\n",
                 searches, by_base, accepted, better, worse,
                 accepted - better - worse,
                 searches ? 100.0 * static_cast<double>(accepted - better) /
                                static_cast<double>(searches)
                          : 0.0);
}

}  // namespace

result<void> write_results_page(const std::filesystem::path& page_file,
                                const measurements& log, const scope& extent) {
  const auto folder = page_file.parent_path() / "results";
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed)
    return error{ec::io, folder.string() + ": expected a folder for plots, "
                                           "found: " + failed.message()};
  const results r(log, extent);
  verdicts says;
  std::string body;
  table_1(body, r, says);
  table_2(body, r, says);
  if (auto ok = shots(body, r, says, folder); !ok) return ok;
  ablation(body, r, says);
  forms(body, r);
  pass_1(body, r, says);
  if (auto ok = pools(body, r, folder); !ok) return ok;
  controls(body, r, says);
  std::string page =
      "# The paper's claims in miniature\n\nMade by `t2 reproduce" +
      std::string{extent.quick ? " --quick" : ""} +
      "`; whatever came out is what stands here. The base is the model of "
      "1.4\nmillion parameters that ships with t2: it has read careful and "
      "careless writers\n([corpus.md](corpus.md)), so that there is a skill to "
      "bring out. Experts are grown on math, code\nand reasoning; their "
      "relatives stand for MATH, HumanEval and ARC-Challenge, and one is "
      "Korean.\n" +
      format("Seeds: %zu. Questions of each test: %zu, none of which an "
             "adaptation has seen. Trainings: %lld\nsteps of 24 prompts (policy "
             "gradient: 4 answers each).\n\n",
             extent.seeds.size(), extent.questions,
             static_cast<long long>(extent.steps)) +
      "## What holds\n\n" + says.text() + "\n" + body;
  return write_file_durably(page_file, std::string_view{page});
}

}  // namespace t2::reproduce
