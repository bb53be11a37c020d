#include "adaptation/few_shot_search.hpp"
#include "adaptation/prompting.hpp"

namespace t2 {

result<std::vector<search_shot>> make_shots(const language_model& model,
                                            std::span<const example> examples,
                                            const reward& judge,
                                            prompt_form form) {
  std::vector<search_shot> shots;
  for (const example& e : examples) {
    if (auto fine = judge.check(e); !fine) return fine.error();
    search_shot shot;
    shot.source = e;
    const example asked = asked_as(form, e);
    auto row = scoring_row_of(model, asked, false);
    if (!row) return row.error();
    shot.reference = *std::move(row);
    if (judge.evidence(e) == reward_evidence::choice_likelihoods)
      for (const std::string& choice : e.choices) {
        auto other = scoring_row_of(model, asked, choice, false);
        if (!other) return other.error();
        shot.choices.push_back(*std::move(other));
      }
    shots.push_back(std::move(shot));
  }
  return shots;
}

}  // namespace t2
