#include "tools/reproduce/miniature.hpp"

#include <set>

#include "config/durable_file.hpp"
#include "config/options.hpp"

namespace t2::reproduce {
namespace {

using demo::family;
using demo::portion;

constexpr std::size_t classified = 400;  // labelled queries to test on

std::string lines_of(family f, portion p, std::size_t count) {
  const auto problems = demo::problems(f, p, count);
  std::string out;
  for (std::size_t i = 0; i < problems.size(); ++i)
    out += demo::example_line(f, p, i + 1, problems[i]) + "\n";
  return out;
}

result<void> write_new(const std::filesystem::path& file,
                       const std::string& text) {
  if (std::filesystem::exists(file)) return {};
  return write_file_durably(file, std::string_view{text});
}

/// Train, validation and test; small talk has no portions, so what a classifier
/// may have seen is left out of its test.
result<void> write_labels(const study_data& data, const scope& s) {
  std::set<std::string> seen;
  for (const auto& [p, count] :
       {std::pair{portion::train, s.training},
        std::pair{portion::validation, s.training / 10},
        std::pair{portion::test, 10 * classified}}) {
    std::string out;
    std::size_t kept = 0;
    for (const auto& query : demo::labelled_queries(p, count)) {
      if (p == portion::test && kept == classified) break;
      if (!seen.insert(query.prompt).second && p != portion::train) continue;
      out += demo::labelled_line(p, ++kept, query) + "\n";
    }
    if (auto written = write_new(data.file(labels_name, p), out); !written)
      return written;
  }
  return {};
}

}  // namespace

const std::vector<study_family>& study_families() {
  static const std::vector<study_family> all{
      {family::math, {family::math_hard, family::korean}},
      {family::code, {family::code_doc}},
      {family::reasoning, {family::reasoning_challenge}}};
  return all;
}

std::vector<family> relatives() {
  std::vector<family> out;
  for (const study_family& one : study_families())
    out.insert(out.end(), one.relatives.begin(), one.relatives.end());
  return out;
}

const std::vector<recipe>& recipes() {
  static const std::vector<recipe> all{
      {expert_recipe, "svf", "reinforce", "all"},
      {"svf-mlp", "svf", "reinforce", "mlp"},
      {"svf-attention", "svf", "reinforce", "attention"},
      {"svf-next-token", "svf", "next-token", "all"},
      {lora_recipe, "lora", "reinforce", ""},
      {"lora-next-token", "lora", "next-token", ""}};
  return all;
}

scope scope::whole() {
  return {.quick = false,
          .seeds = {1, 2, 3},
          .questions = 300,
          .steps = 40,
          .training = 1500,
          .shots = {1, 3, 5, 10, 20},
          .null_draws = 5,
          .pool = {1, 2, 4, 8, 16, 32},
          .iterations = search_options{}.iterations,
          .timed = 100};
}

scope scope::for_a_test() {
  return {.quick = true,
          .seeds = {1},
          .questions = 60,
          .steps = 10,
          .training = 600,
          .shots = {1, 5},
          .null_draws = 1,
          .pool = {1, 8},
          .iterations = 5,
          .timed = 10};
}

bool scope::trains(family f, const recipe& r) const {
  return !quick || f == family::math || r.name == expert_recipe;
}

std::string scope::text() const {
  ordered_json form{{"format", "t2-reproduce-1"},
                    {"seeds", seeds},
                    {"questions", questions},
                    {"steps", steps},
                    {"training", training},
                    {"shots", shots},
                    {"null_draws", null_draws},
                    {"pool", pool},
                    {"timed", timed},
                    {"quick", quick}};
  // A log without it is of the default's.
  if (iterations != search_options{}.iterations)
    form["iterations"] = iterations;
  return form.dump();
}

std::filesystem::path study_data::file(const std::string& family_name,
                                       portion p) const {
  return folder_ /
         (family_name + "." + std::string{demo::to_string(p)} + ".jsonl");
}

result<study_data> study_data::prepare(const std::filesystem::path& folder,
                                       const scope& s) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed)
    return error{ec::io, folder.string() + ": expected a folder to work in, "
                                           "found: " + failed.message()};
  study_data out;
  out.folder_ = folder;
  const auto put = [&](family f, portion p, std::size_t count) {
    return write_new(out.file(std::string{demo::to_string(f)}, p),
                     lines_of(f, p, count));
  };
  const auto test = [&](family f) -> result<void> {
    if (auto written = put(f, portion::test, s.questions); !written)
      return written;
    auto set = read_test_set(
        out.file(std::string{demo::to_string(f)}, portion::test), 0);
    if (!set) return set.error();
    out.tests_[f] = *std::move(set);
    return {};
  };
  for (const study_family& one : study_families()) {
    if (auto ok = put(one.grown_on, portion::train, s.training); !ok)
      return ok.error();
    if (auto ok = put(one.grown_on, portion::validation, s.training / 10); !ok)
      return ok.error();
    if (auto ok = test(one.grown_on); !ok) return ok.error();
    for (const family f : one.relatives) {
      if (auto ok = test(f); !ok) return ok.error();
      const std::size_t draws = s.seeds.back() + 1 + s.null_draws;
      const auto problems =
          demo::problems(f, portion::train, draws * most_shots);
      for (std::size_t i = 0; i < problems.size(); ++i) {
        auto line = ordered_json::parse(
            demo::example_line(f, portion::train, i + 1, problems[i]));
        line.erase("reward");
        out.shots_[f].push_back(std::move(line));
      }
    }
  }
  if (auto ok = write_labels(out, s); !ok) return ok.error();
  auto labelled = read_test_set(out.file(labels_name, portion::test), 0);
  if (!labelled) return labelled.error();
  out.labelled_ = *std::move(labelled);
  return out;
}

const test_set& study_data::test_of(family f) const { return tests_.at(f); }

std::vector<ordered_json> study_data::shots_of(family f, std::size_t draw,
                                               std::size_t count) const {
  const auto& all = shots_.at(f);
  std::vector<ordered_json> out;
  for (std::size_t i = 0; i < count; ++i)
    out.push_back(all[(draw * most_shots + i) % all.size()]);
  return out;
}

}  // namespace t2::reproduce
