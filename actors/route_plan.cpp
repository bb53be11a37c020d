#include "actors/route_plan.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "adaptation/prompt_form.hpp"
#include "config/jsonl.hpp"

namespace t2 {
namespace {

constexpr std::string_view expert_prefix = "expert:";
constexpr std::size_t most_label_bytes = 64;

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
  plan.route.reason = "this expert was asked for";
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
  plan.route.form = to_string(form_of_queries(*task));
  plan.route.strategy = "base";
  plan.route.reason = "the task is not adapted";
  if (!adaptations->empty()) {
    const store_adaptation& newest = adaptations->back();
    auto recipe = parse_mixture(newest.mixture_json);
    if (!recipe) return recipe.error();
    if (newest.accepted) plan.recipe = std::move(*recipe);
    plan.route.strategy = "few-shot";
    plan.route.reason =
        newest.accepted
            ? "the task was adapted by " +
                  std::to_string(task->examples.size()) + " examples"
            : "a search by " + std::to_string(task->examples.size()) +
                  " examples found nothing better than the base";
    plan.route.adaptation_key = newest.key;
  }
  plan.route.mixture = summary(plan.recipe);
  return plan;
}

route_plan base_route() {
  route_plan plan;
  plan.route.strategy = "base";
  plan.route.reason = "the base was asked for";
  plan.route.mixture = summary(plan.recipe);
  return plan;
}

bool missing(const error& failure) { return failure.code == ec::not_found; }

/// What is not there, and what is there for another base, are both no route.
bool passed_over(const error& failure) {
  return missing(failure) || failure.code == ec::incompatible;
}

/// The name of the task that a label stands for; the label itself where there
/// is none.
result<std::string> task_of_label(expert_store& store, std::string_view label,
                                  std::string_view base) {
  const auto tasks = store.list_tasks();
  if (!tasks) return tasks.error();
  for (const store_task& task : *tasks)
    if (task.base == base && label_of(task) == label) return task.name;
  return std::string(label);
}

result<route_plan> label_route(expert_store& store, std::string_view label,
                               std::string_view base) {
  route_plan plan = base_route();
  const std::string said = "pass 1 says " + std::string(label);
  plan.route.reason = said + ", which no task or expert answers";
  if (label == base_label) {
    plan.route.reason = "pass 1 says it is of no class";
  } else {
    const auto name = task_of_label(store, label, base);
    if (!name) return name.error();
    auto task = task_route(store, *name, base);
    if (!task && !passed_over(task.error())) return task.error();
    auto expert = expert_route(store, label, base);
    if (!expert && !passed_over(expert.error())) return expert.error();
    if (task && !(expert && task->undecided())) {
      plan = std::move(*task);
      plan.route.reason = said + "; " + plan.route.reason;
    } else if (expert) {
      plan = std::move(*expert);
      plan.route.reason = said + ", an expert";
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

bool is_for_pass_1(std::string_view target) {
  return target.empty() || target == "auto" || target.starts_with("auto:");
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

std::string label_of(const store_task& task) {
  const auto options = parse_json(task.options_json);
  if (!options || !options->is_object()) return {};
  const auto label = options->find("label");
  if (label == options->end() || !label->is_string()) return {};
  return label->get<std::string>();
}

result<void> check_label(expert_store& store, const store_task& task) {
  const auto options = parse_json(task.options_json);
  if (!options || !options->is_object() || !options->contains("label"))
    return {};
  const std::string label = label_of(task);
  const bool printable = std::ranges::none_of(
      label, [](unsigned char c) { return c < ' ' || c == ':'; });
  if (label.empty() || label.size() > most_label_bytes || !printable ||
      label == base_label)
    return error{ec::invalid_argument,
                 "label: expected a word of at most " +
                     std::to_string(most_label_bytes) +
                     " bytes without a colon, not 'other', found " +
                     options->at("label").dump()};
  const auto tasks = store.list_tasks();
  if (!tasks) return tasks.error();
  for (const store_task& other : *tasks)
    if (other.base == task.base && label_of(other) == label)
      return error{ec::already_exists,
                   "label: '" + label + "' is that of task " + other.name};
  return {};
}

result<label_table> find_labels(expert_store& store,
                                const std::vector<query_label>& configured,
                                std::string_view base) {
  label_table table{.labels = configured, .leads = false};
  for (const query_label& label : configured) {
    const auto task = store.get_task(label.name);
    if (!task && !missing(task.error())) return task.error();
    const auto expert = store.get_expert(label.name);
    if (!expert && !missing(expert.error())) return expert.error();
    table.leads = table.leads || (task && task->base == base) ||
                  (expert && expert->base == base);
  }
  const auto tasks = store.list_tasks();
  if (!tasks) return tasks.error();
  for (const store_task& task : *tasks) {
    const std::string name = label_of(task);
    if (name.empty() || task.base != base) continue;
    table.leads = true;
    const auto known =
        std::ranges::find(table.labels, name, &query_label::name);
    if (known == table.labels.end())
      table.labels.push_back({name, task.description});
    else if (!task.description.empty())
      known->description = task.description;
  }
  return table;
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
