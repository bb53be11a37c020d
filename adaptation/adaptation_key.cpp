#include "adaptation/adaptation_key.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

#include "config/sha256.hpp"

namespace t2 {

std::string adaptation_key(std::string_view base_fingerprint,
                           std::span<const keyed_version> versions,
                           std::string_view strategy,
                           const few_shot_options& options,
                           std::span<const example> examples,
                           std::string_view reward, prompt_form form,
                           std::string_view template_variables) {
  using nlohmann::json;
  std::vector<keyed_version> sorted{versions.begin(), versions.end()};
  std::sort(sorted.begin(), sorted.end(),
            [](const keyed_version& a, const keyed_version& b) {
              return std::tie(a.expert, a.version, a.sha256) <
                     std::tie(b.expert, b.version, b.sha256);
            });
  json experts = json::array();
  for (const keyed_version& v : sorted)
    experts.push_back({v.expert, v.version, v.sha256});
  json shots = json::array();
  for (const example& e : examples) shots.push_back(to_json(to_line(e)));
  const sampling_options& sampling = options.sampling;
  // Only what changes the outcome: not seconds, not byte budgets. Keys of an
  // object are sorted, numbers have one spelling.
  json all{
      {"format", "t2-adaptation-2"},
      {"base", base_fingerprint},
      {"experts", experts},
      {"strategy", strategy},
      {"options",
       {{"optimiser", options.optimiser},
        {"population", options.population},
        {"elite", options.elite},
        {"sigma", options.sigma},
        {"iterations", options.iterations},
        {"per_projection", options.per_projection},
        {"rule", std::string{to_string(options.rule)}},
        {"tokens", options.tokens},
        {"folds", options.folds},
        {"survivors", options.survivors},
        {"preselect", options.preselect},
        {"standard_errors", options.standard_errors},
        {"sampling",
         {{"temperature", sampling.temperature},
          {"top_k", sampling.top_k},
          {"top_p", sampling.top_p},
          {"min_p", sampling.min_p},
          {"repetition_penalty", sampling.repetition_penalty},
          {"max_tokens", sampling.max_tokens},
          {"ignore_eos", sampling.ignore_eos},
          {"stop", sampling.stop}}}}},
      {"examples", shots},
      {"reward", reward},
      {"seed", options.seed}};
  if (form == prompt_form::chat && std::ranges::any_of(examples, is_bare_prompt))
    all["form"] = to_string(form);
  if (!template_variables.empty() &&
      (form == prompt_form::chat ||
       !std::ranges::all_of(examples, is_bare_prompt)))
    all["template_variables"] =
        json::parse(template_variables, nullptr, false);
  return sha256_hex(all.dump(-1, ' ', false, json::error_handler_t::replace));
}

}  // namespace t2
