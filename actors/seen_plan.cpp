#include "actors/seen_plan.hpp"

#include <nlohmann/json.hpp>

#include "actors/route_plan.hpp"
#include "adaptation/expert.hpp"
#include "adaptation/leak_guard.hpp"
#include "config/jsonl.hpp"

namespace t2 {
namespace {

constexpr const char* seen_key = "seen_prompts";

result<seen_by> seen_by_version(const store_expert_version& version) {
  seen_by out{.owner = "expert " + version.expert + "@" +
                       std::to_string(version.version),
              .hashes = {}};
  const auto header = read_expert_header(version.z_safetensors, out.owner);
  if (!header) return header.error();
  if (header->seen) out.hashes = header->seen->text();
  return out;
}

result<void> add_versions(expert_store& store, const mixture& recipe,
                          std::vector<seen_by>& out) {
  const auto versions = load_versions(store, recipe);
  if (!versions) return versions.error();
  for (const store_expert_version& version : *versions) {
    auto seen = seen_by_version(version);
    if (!seen) return seen.error();
    out.push_back(*std::move(seen));
  }
  return {};
}

result<void> add_task(expert_store& store, const store_task& task,
                      std::vector<seen_by>& out) {
  const auto adaptations = store.list_adaptations(task.id);
  if (!adaptations) return adaptations.error();
  if (adaptations->empty()) return {};
  // Rejected or not: that a task stays on the base was decided on these.
  const store_adaptation& newest = adaptations->back();
  seen_by seen{.owner = "the adaptation of task " + task.name, .hashes = {}};
  const auto scores = parse_json(newest.scores_json);
  if (scores && scores->contains(seen_key))
    seen.hashes = scores->at(seen_key).get<std::string>();
  out.push_back(std::move(seen));
  if (!newest.accepted) return {};
  const auto recipe = parse_mixture(newest.mixture_json);
  if (!recipe) return recipe.error();
  return add_versions(store, *recipe, out);
}

result<std::vector<seen_by>> seen_by_all(expert_store& store) {
  std::vector<seen_by> out;
  const auto experts = store.list_experts();
  if (!experts) return experts.error();
  for (const store_expert& expert : *experts) {
    if (expert.deleted || expert.current_version == 0) continue;
    const auto version = store.get_version(expert.name);
    if (!version) return version.error();
    auto seen = seen_by_version(*version);
    if (!seen) return seen.error();
    out.push_back(*std::move(seen));
  }
  const auto tasks = store.list_tasks();
  if (!tasks) return tasks.error();
  for (const store_task& task : *tasks)
    if (const auto added = add_task(store, task, out); !added)
      return added.error();
  return out;
}

}  // namespace

std::string with_seen_prompts(const std::string& scores_json,
                              std::span<const store_example> examples) {
  seen_prompts seen;
  for (const store_example& record : examples)
    if (const auto e = from_record(record)) seen.add(*e);
  auto scores = nlohmann::ordered_json::parse(scores_json);
  scores[seen_key] = seen.text();
  return scores.dump();
}

result<std::vector<seen_by>> seen_by_target(expert_store& store,
                                            std::string_view target) {
  std::vector<seen_by> out;
  if (target == "base") return out;
  if (is_for_pass_1(target)) return seen_by_all(store);
  constexpr std::string_view expert = "expert:";
  if (target.starts_with(expert)) {
    const auto version = store.get_version(target.substr(expert.size()));
    if (!version) return version.error();
    auto seen = seen_by_version(*version);
    if (!seen) return seen.error();
    out.push_back(*std::move(seen));
    return out;
  }
  const auto task = store.get_task(target);
  if (!task) return task.error();
  if (const auto added = add_task(store, *task, out); !added)
    return added.error();
  return out;
}

result<store_evaluation> keep_evaluation(expert_store& store,
                                         const finished_evaluation& measured,
                                         std::string_view base) {
  const auto asked = seen_prompts::parse(measured.prompts);
  if (!asked || asked->empty())
    return error{ec::invalid_argument,
                 "evaluation: expected the hashes of its prompts, 16 "
                 "hexadecimal digits each, ascending"};
  const auto owners = seen_by_target(store, measured.target);
  if (!owners) return owners.error();
  for (const seen_by& one : *owners) {
    const auto seen = one.hashes ? seen_prompts::parse(*one.hashes)
                                 : std::optional<seen_prompts>{};
    if (!seen) {
      if (measured.allow_unrecorded && !one.hashes) continue;
      return error{ec::incompatible,
                   "evaluation: expected to know which prompts " + one.owner +
                       " has seen, found no record of it"};
    }
    if (const std::size_t shared = asked->shared_with(*seen))
      return error{ec::incompatible,
                   "evaluation: expected prompts that " + one.owner +
                       " has not seen, found " + std::to_string(shared) +
                       " that it has"};
  }
  store_evaluation record;
  record.base = base;
  record.dataset = measured.dataset;
  record.data_sha256 = measured.data_sha256;
  auto scores = nlohmann::ordered_json::parse(measured.scores_json, nullptr,
                                              false);
  if (!scores.is_object())
    return error{ec::invalid_argument,
                 "evaluation: expected scores as a JSON object"};
  scores["target"] = measured.target;
  record.scores_json = scores.dump();
  if (measured.target != "base" && !is_for_pass_1(measured.target)) {
    const auto plan = resolve_route(store, measured.target, base);
    if (!plan) return plan.error();
    if (!plan->route.task.empty()) {
      const auto task = store.get_task(plan->route.task);
      if (!task) return task.error();
      record.task_id = task->id;
    }
    if (!plan->route.adaptation_key.empty()) {
      const auto found = store.find_adaptation(plan->route.adaptation_key);
      if (!found) return found.error();
      record.adaptation_id = found->id;
    }
  }
  return store.put_evaluation(record);
}

}  // namespace t2
