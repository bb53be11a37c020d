#include "tools/demo_story.hpp"

#include <algorithm>

#include "config/durable_file.hpp"
#include "demo/corpus.hpp"

namespace t2 {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t shots = 5;
constexpr std::size_t routed_queries = 100;

result<std::vector<example>> drawn(demo::family f, demo::portion part,
                                   std::size_t count) {
  const auto problems = demo::problems(f, part, count);
  std::string lines;
  for (std::size_t i = 0; i < problems.size(); ++i)
    lines += demo::example_line(f, part, i + 1, problems[i]) + "\n";
  return parse_examples(lines, "demo");
}

result<demo_questions> questions_of(demo::family f, std::size_t count) {
  auto asked = drawn(f, demo::portion::test, count);
  if (!asked) return asked.error();
  return demo_questions{*std::move(asked), std::string(demo::reward_of(f))};
}

result<std::vector<example>> read_questions(const fs::path& file) {
  constexpr std::size_t most_bytes = std::size_t{16} << 20;
  const auto text = read_file(file, most_bytes);
  if (!text) return text.error();
  return parse_examples(*text, file.string());
}

/// The first `count` of a file's questions from `from` on.
result<demo_questions> questions_of(const fs::path& file, std::size_t from,
                                    std::size_t count) {
  auto all = read_questions(file);
  if (!all) return all.error();
  const std::size_t begin = std::min(from, all->size());
  const std::size_t end = std::min(all->size(), begin + count);
  const auto at = [&](std::size_t i) {
    return all->begin() + static_cast<std::ptrdiff_t>(i);
  };
  return demo_questions{{at(begin), at(end)}, "exact"};
}

}  // namespace

result<demo_story> miniature_story(const fs::path& assets,
                                   std::size_t questions) {
  using demo::family;
  demo_story story{
      .model = (assets / "t2-mini").string(),
      .opening =
          "a small model is loaded that has read careful and careless writers",
      .task = "math-hard",
      .about = "differences and bare equations"};
  for (const auto f : {family::math, family::code, family::reasoning}) {
    auto unseen = questions_of(f, questions);
    if (!unseen) return unseen.error();
    const std::string name(to_string(f));
    story.experts.push_back({.name = name,
                             .file = assets / "experts" / (name + ".safetensors"),
                             .unseen = *std::move(unseen)});
  }
  for (const auto& query :
       demo::labelled_queries(demo::portion::test, routed_queries))
    story.routed.emplace_back(query.prompt, query.label);
  story.stranger =
      demo::problems(family::code_doc, demo::portion::test, 1).front().prompt;
  auto examples = drawn(family::math_hard, demo::portion::train, shots);
  if (!examples) return examples.error();
  story.shots = *std::move(examples);
  auto others = questions_of(family::math_hard, questions);
  if (!others) return others.error();
  story.others = *std::move(others);
  return story;
}

result<demo_story> smollm2_story(const fs::path& assets,
                                 std::size_t questions) {
  const fs::path here = assets / "smollm2";
  demo_story story{.model = "smollm2",
                   .opening = "SmolLM2-135M-Instruct is loaded, out of its "
                              "GGUF file",
                   .greeting = "What is the capital of France?",
                   .task = "reviews",
                   .about = "whether a customer is pleased with a product",
                   .tries_prompting = true,
                   .answer_tokens = 8};
  story.targets = "mlp";
  // Two experts: one population that does not wait for scores is enough, and
  // is told to all folds at the price of one.
  story.search = search_options{};
  story.search->optimiser = "random";
  story.search->population = 16;
  story.search->iterations = 1;
  // The film reviews may not be passed on.
  story.experts.push_back({.name = "sentiment",
                           .grown_on = "reviews of films",
                           .file = here / "sentiment.safetensors"});
  auto unseen = questions_of(here / "departments.jsonl", 0, questions);
  if (!unseen) return unseen.error();
  story.experts.push_back({.name = "departments",
                           .grown_on = "queries to an assistant",
                           .file = here / "departments.safetensors",
                           .unseen = *std::move(unseen)});
  auto examples = questions_of(here / "reviews.jsonl", 0, shots);
  if (!examples) return examples.error();
  story.shots = std::move(examples->asked);
  auto others = questions_of(here / "reviews.jsonl", shots, questions);
  if (!others) return others.error();
  story.others = *std::move(others);
  return story;
}

}  // namespace t2
