#include "actors/route_plan.hpp"

#include <algorithm>

namespace t2 {
namespace {

constexpr std::string_view expert_prefix = "expert:";
constexpr std::string_view label_prefix = "label:";

error other_base(const std::string& what, std::string_view found,
                 std::string_view expected) {
  return {ec::incompatible, what + " belongs to base " + std::string(found) +
                                ", the model is " + std::string(expected)};
}

result<route_plan> expert_route(expert_store& store, std::string_view reference,
                                std::string_view base) {
  const auto version = store.get_version(reference);
  if (!version) return version.error();
  if (version->base != base) {
    return other_base("expert " + version->expert, version->base, base);
  }
  route_plan plan;
  plan.recipe.components.push_back(
      {.expert = version->expert, .version = version->version, .alpha = {1}});
  plan.route.strategy = "expert";
  plan.route.mixture = summary(plan.recipe);
  return plan;
}

result<route_plan> task_route(expert_store& store, std::string_view name,
                              std::string_view base) {
  const auto task = store.get_task(name);
  if (!task) return task.error();
  if (task->base != base) {
    return other_base("task " + task->name, task->base, base);
  }
  const auto adaptations = store.list_adaptations(task->id);
  if (!adaptations) return adaptations.error();
  route_plan plan;
  plan.route.task = task->name;
  plan.route.strategy = "base";
  if (!adaptations->empty()) {
    const store_adaptation& newest = adaptations->back();
    auto recipe = parse_mixture(newest.mixture_json);
    if (!recipe) return recipe.error();
    if (newest.accepted) plan.recipe = std::move(*recipe);
    plan.route.strategy = "few-shot";
    plan.route.adaptation_key = newest.key;
  }
  plan.route.mixture = summary(plan.recipe);
  return plan;
}

route_plan base_route() {
  route_plan plan;
  plan.route.strategy = "base";
  plan.route.mixture = summary(plan.recipe);
  return plan;
}

bool missing(const error& failure) { return failure.code == ec::not_found; }

/// What is not there, and what is there for another base, are both no route.
bool passed_over(const error& failure) {
  return missing(failure) || failure.code == ec::incompatible;
}

result<route_plan> label_route(expert_store& store, std::string_view label,
                               std::string_view base) {
  route_plan plan = base_route();
  if (label != base_label) {
    auto task = task_route(store, label, base);
    if (!task && !passed_over(task.error())) return task.error();
    if (task) {
      plan = std::move(*task);
    } else if (auto expert = expert_route(store, label, base)) {
      plan = std::move(*expert);
    } else if (!passed_over(expert.error())) {
      return expert.error();
    }
  }
  plan.route.strategy = "prompt";
  plan.route.label = label;
  return plan;
}

}  // namespace

std::string route_plan::mixture_key() const {
  return recipe.is_base() ? std::string() : to_json(recipe);
}

result<route_plan> resolve_route(expert_store& store, std::string_view target,
                                 std::string_view base) {
  if (target == "base") return base_route();
  if (target.starts_with(expert_prefix)) {
    return expert_route(store, target.substr(expert_prefix.size()), base);
  }
  if (target.starts_with(label_prefix)) {
    return label_route(store, target.substr(label_prefix.size()), base);
  }
  auto plan = task_route(store, target, base);
  if (!plan && missing(plan.error())) {
    return error{ec::not_found,
                 "no task '" + std::string(target) +
                     "'; expected a task's name, base, auto or expert:NAME"};
  }
  return plan;
}

result<std::vector<std::string>> routable_labels(
    expert_store& store, const std::vector<std::string>& labels,
    std::string_view base) {
  std::vector<std::string> known;
  for (const std::string& label : labels) {
    const auto task = store.get_task(label);
    if (!task && !missing(task.error())) return task.error();
    const auto expert = store.get_expert(label);
    if (!expert && !missing(expert.error())) return expert.error();
    if ((task && task->base == base) || (expert && expert->base == base)) {
      known.push_back(label);
    }
  }
  return known;
}

result<std::vector<store_expert_version>> load_versions(expert_store& store,
                                                        const mixture& m) {
  std::vector<store_expert_version> versions;
  for (const mixture_component& part : m.components) {
    auto version =
        store.get_version(part.expert + "@" + std::to_string(part.version));
    if (!version) return version.error();
    versions.push_back(std::move(*version));
  }
  return versions;
}

}  // namespace t2
