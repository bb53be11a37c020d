#include "adaptation/training_objective.hpp"

#include "adaptation/next_token_objective.hpp"

namespace t2 {

result<std::unique_ptr<training_objective>> make_objective(
    const language_model& model, const training_spec& spec) {
  if (spec.objective == "next-token")
    return make_next_token_objective(model, spec);
  return error{ec::invalid_argument, "objective: expected next-token, found '" +
                                         spec.objective + "'"};
}

}  // namespace t2
