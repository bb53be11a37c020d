// A search for a hidden mixture: how good the find of 1, 2, … iterations is on
// texts that it has not seen, and what it took. Prints JSON.
//   search_bench FOLDER DTYPE ITERATIONS
// FOLDER (bench/authors/adaptation.py makes it): model/, experts as
// z-0.safetensors … and texts.json {"prompt", "shots", "held_out"} of token ids.
#include <ATen/ops/cat.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <variant>

#include "adaptation/few_shot_search.hpp"
#include "model/json_file.hpp"
#include "model/language_model.hpp"
#include "model/safetensors.hpp"

namespace {

using namespace t2;

template <class T>
T need(result<T> value) {
  if (value) return *std::move(value);
  std::fprintf(stderr, "search_bench: %s\n", value.error().message.c_str());
  std::exit(1);
}

expert_ref read_expert(const std::filesystem::path& file,
                       const svf_layout& layout, std::int64_t number) {
  const auto tensors = need(safetensors_file::open(file));
  std::vector<at::Tensor> z;
  for (const auto& p : layout.projections())
    z.push_back(need(tensors.tensor("z." + p.weight)));
  auto made = std::make_shared<expert>();
  made->name = "random-" + std::to_string(number);
  made->version = 1;
  made->norm = svf_norm::nuclear;
  made->targets = layout.targets();
  made->z = at::cat(z, 0);
  return made;
}

std::vector<row_score> scores_of(engine& on, std::vector<scoring_row> rows) {
  std::vector<row_score> out;
  (void)need(on.score(std::move(rows), [&](result<std::vector<row_score>> s) {
    out = need(std::move(s));
  }));
  while (on.step()) {
  }
  return out;
}

std::vector<scoring_row> rows_of(const nlohmann::json& texts,
                                 std::size_t prompt, const delta_ref& delta) {
  std::vector<scoring_row> rows;
  for (const auto& text : texts)
    rows.push_back({text.get<std::vector<token_id>>(), prompt, delta});
  return rows;
}

double mean_score(engine& on, std::vector<scoring_row> rows) {
  double sum = 0;
  const auto count = static_cast<double>(rows.size());
  for (const auto& score : scores_of(on, std::move(rows)))
    sum += score.sum() / static_cast<double>(score.log_probabilities.size());
  return sum / count;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: search_bench FOLDER DTYPE ITERATIONS\n");
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  const auto model = need(language_model::load(
      {.folder = folder / "model", .dtype = argv[2], .svd_cache = folder / "svd"}));
  const auto layout =
      std::make_shared<svf_layout>(model->config(), svf_targets::mlp);
  std::vector<expert_ref> experts;
  for (std::int64_t i = 0;; ++i) {
    const auto file = folder / ("z-" + std::to_string(i) + ".safetensors");
    if (!std::filesystem::exists(file)) break;
    experts.push_back(read_expert(file, *layout, i));
  }
  const auto pool = std::make_shared<expert_pool>(need(expert_pool::make(
      experts, layout, need(model->singular_values(*layout)))));
  const auto texts = need(read_json_file(folder / "texts.json"));
  const auto prompt = texts.at("prompt").get<std::size_t>();
  const auto judge = need(make_reward("logprob"));
  engine on{model, {.max_sequences = 320}};

  nlohmann::ordered_json out;
  out["base"] = mean_score(on, rows_of(texts.at("held_out"), prompt, nullptr));
  for (std::int64_t n = 1; n <= std::atoll(argv[3]); ++n) {
    std::vector<search_shot> shots;
    for (auto& row : rows_of(texts.at("shots"), prompt, nullptr))
      shots.push_back({.source = {}, .reference = std::move(row), .choices = {}});
    const auto begin = std::chrono::steady_clock::now();
    const auto search = need(few_shot_search::make(
        pool, std::move(shots), judge, {.iterations = n, .seconds = 0}));
    for (;;) {
      const auto& work = search->next();
      if (std::holds_alternative<search_done>(work)) break;
      const auto scores = scores_of(on, std::get<score_work>(work).rows);
      if (auto ok = search->tell(scores); !ok) need(result<int>{ok.error()});
    }
    const std::chrono::duration<double> took =
        std::chrono::steady_clock::now() - begin;
    const auto found = need(search->outcome());
    out["searches"].push_back(
        {{"iterations", n},
         {"seconds", took.count()},
         {"accepted", found.accepted},
         {"held_out",
          mean_score(on, rows_of(texts.at("held_out"), prompt, found.delta))}});
  }
  std::puts(out.dump().c_str());
}
