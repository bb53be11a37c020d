// What the truncated delta plan costs in quality: KL per token to the exact
// plan, on trained experts and their families' test problems, by the number of
// singular values of a projection that may move. Prints JSON.
//   delta_rank_bench MODEL EXPERTS [ROWS]      assets/t2-mini assets/experts
#include <ATen/ATen.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "adaptation/expert_pool.hpp"
#include "adaptation/prompting.hpp"
#include "config/durable_file.hpp"
#include "demo/corpus.hpp"
#include "engine/scoring.hpp"
#include "model/language_model.hpp"
#include "model/transformer.hpp"
#include "tests/model/kv_rows.hpp"

namespace {

using namespace t2;

template <class T>
T need(result<T> value) {
  if (value) return *std::move(value);
  std::fprintf(stderr, "delta_rank_bench: %s\n", value.error().message.c_str());
  std::exit(1);
}

std::vector<expert_ref> read_experts(const std::filesystem::path& folder,
                                     const language_model& model) {
  std::vector<expert_ref> out;
  for (const char* name : {"code", "math", "reasoning"}) {
    const auto file = folder / (std::string(name) + ".safetensors");
    const auto bytes = need(read_file(file, std::size_t{64} << 20));
    auto read = need(parse_expert(std::as_bytes(std::span{bytes}), file.string(),
                                  model.config(), model.fingerprint()));
    read.name = name;
    read.version = 1;
    out.push_back(std::make_shared<expert>(std::move(read)));
  }
  return out;
}

/// Log-probabilities [answer tokens, V] of every row, all rows in one step.
at::Tensor log_p(language_model& model, const std::vector<scoring_row>& rows,
                 bool truncate) {
  auto& net = model.network();
  std::size_t longest = 0;
  for (const auto& row : rows) longest = std::max(longest, row.tokens.size());
  kv_rows kv{net, static_cast<std::int64_t>(longest), std::ssize(rows)};
  packed_step step;
  step.may_truncate = truncate;
  for (const auto& row : rows) {
    const auto begin = static_cast<std::int64_t>(step.tokens.size());
    const auto count = static_cast<std::int64_t>(row.tokens.size()) - 1;
    step.tokens.insert(step.tokens.end(), row.tokens.begin(),
                       row.tokens.end() - 1);
    step.spans.push_back(
        kv.span(begin, begin + count, 0, std::ssize(step.spans)));
    step.deltas.push_back(row.delta);
    for (auto t = static_cast<std::int64_t>(row.answer_begin) - 1; t < count; ++t)
      step.logit_rows.push_back(begin + t);
  }
  return at::log_softmax(net.logits(need(net.forward(step, kv.store()))).to(at::kDouble), -1);
}

double divergence(const at::Tensor& p, const at::Tensor& q) {
  return (p.exp() * (p - q)).sum(-1).mean().item<double>();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: delta_rank_bench MODEL EXPERTS [ROWS]\n");
    return 2;
  }
  const std::size_t each = argc > 3 ? std::strtoul(argv[3], nullptr, 10) : 12;
  const auto model = need(language_model::load(
      {.folder = argv[1], .dtype = "float32", .svd_cache = "/tmp/t2-bench-svd"}));
  auto& net = model->network();
  const auto experts = read_experts(argv[2], *model);
  const auto layout = std::make_shared<svf_layout>(model->config(),
                                                   experts.front()->targets);
  const auto pool = need(expert_pool::make(
      experts, layout, need(model->singular_values(*layout))));
  const std::vector<std::vector<float>> mixtures{
      {1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {0.5f, 0.5f, 0.5f}};
  const std::vector<demo::family> families{
      demo::family::code, demo::family::math, demo::family::reasoning,
      demo::family::math_hard};
  std::vector<scoring_row> rows, base;
  for (std::size_t m = 0; m < mixtures.size(); ++m) {
    const auto delta = need(pool.compose(mixture_rule::delta, mixtures[m]));
    for (const auto& p :
         demo::problems(families[m], demo::portion::test, each)) {
      rows.push_back(need(scoring_row_of(
          *model, example{.prompt = p.prompt, .answer = p.careful}, false, delta)));
      base.push_back(rows.back());
      base.back().delta = nullptr;
    }
  }
  net.force_plan(linear_plan::delta);
  const auto exact = log_p(*model, rows, false);
  nlohmann::ordered_json out;
  out["tokens"] = exact.size(0);
  out["kl_of_the_base"] = divergence(exact, log_p(*model, base, false));
  std::int64_t full = 0;
  for (const auto& p : layout->projections()) full = std::max(full, p.rank());
  for (const double part : {0.0625, 0.125, 0.25, 0.5, 0.75, 1.0}) {
    const auto rank = static_cast<std::int64_t>(part * static_cast<double>(full));
    net.set_delta_rank(rank);
    const auto found = log_p(*model, rows, true);
    out["ranks"].push_back(
        {{"rank", rank},
         {"of", full},
         {"kl", divergence(exact, found)},
         {"same_best_token", (exact.argmax(-1) == found.argmax(-1))
                                 .to(at::kDouble)
                                 .mean()
                                 .item<double>()}});
  }
  std::puts(out.dump(1).c_str());
}
