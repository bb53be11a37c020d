#include "adaptation/training_objective.hpp"

#include "adaptation/next_token_objective.hpp"
#include "adaptation/reinforce_objective.hpp"

namespace t2 {
namespace {

template <class T>
result<std::unique_ptr<training_objective>> widened(
    result<std::unique_ptr<T>> made) {
  if (!made) return made.error();
  return std::unique_ptr<training_objective>(*std::move(made));
}

}  // namespace

result<std::unique_ptr<training_objective>> make_objective(
    const std::shared_ptr<const language_model>& model,
    const training_spec& spec,
    const reward_options& rewards) {
  if (spec.objective == "next-token")
    return widened(make_next_token_objective(*model, spec));
  if (spec.objective == "reinforce")
    return widened(make_reinforce_objective(model, spec, rewards));
  return error{ec::invalid_argument,
               "objective: expected next-token or reinforce, found '" +
                   spec.objective + "'"};
}

}  // namespace t2
