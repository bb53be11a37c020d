#include "actors/adaptation_plan.hpp"

#include <utility>
#include <vector>

#include "adaptation/adaptation_key.hpp"
#include "adaptation/example.hpp"
#include "adaptation/reward.hpp"
#include "config/sha256.hpp"

namespace t2 {
namespace {

result<std::vector<example>> examples_of(const store_task& task) {
  std::vector<example> examples;
  for (const store_example& record : task.examples) {
    auto e = from_record(record);
    if (!e) {
      return error{e.error().code, "task " + task.name + ", example " +
                                       record.id + ": " + e.error().message};
    }
    examples.push_back(std::move(*e));
  }
  return examples;
}

result<std::vector<std::string>> experts_to_draw_from(
    expert_store& store, const adapt_request& request, std::string_view base) {
  if (!request.experts.empty()) return request.experts;
  const auto all = store.list_experts(base);
  if (!all) return all.error();
  std::vector<std::string> names;
  for (const store_expert& e : *all) {
    if (e.current_version > 0) names.push_back(e.name);
  }
  if (names.empty()) {
    return error{ec::not_found,
                 "no expert of base " + std::string(base) +
                     " to draw from; train or import one first"};
  }
  return names;
}

/// The adaptation under plan.key, made this task's own; none: it has to be
/// computed, under a key that no other task has.
result<void> look_up(expert_store& store, adaptation_plan& plan, bool force) {
  auto found = store.find_adaptation(plan.key);
  if (!found) {
    if (found.error().code == ec::not_found) return {};
    return found.error();
  }
  if (found->task_id == plan.task.id) {
    if (!force) plan.found = std::move(*found);
    return {};
  }
  store_adaptation mine = *found;
  mine.task_id = plan.task.id;
  if (found->task_id) {
    // Another task has the same examples and keeps its own row.
    plan.key = mine.key = sha256_hex(plan.key + "\n" + plan.task.name);
    if (auto copy = store.find_adaptation(mine.key)) {
      if (!force && copy->task_id == plan.task.id) {
        plan.found = std::move(*copy);
        return {};
      }
    }
  }
  if (force) return {};
  auto kept = keep_adaptation(store, mine);
  if (!kept) return kept.error();
  plan.found = std::move(*kept);
  return {};
}

}  // namespace

result<few_shot_options> to_few_shot(const search_options& options) {
  few_shot_options search;
  search.optimiser = options.optimiser;
  search.population = options.population;
  search.elite = options.elite;
  search.sigma = options.sigma;
  search.iterations = options.iterations;
  if (options.per != "expert" && options.per != "projection") {
    return error{ec::invalid_argument,
                 "search.per: expected expert or projection, found '" +
                     options.per + "'"};
  }
  search.per_projection = options.per == "projection";
  const auto rule = parse_mixture_rule(options.rule);
  if (!rule) return rule.error();
  search.rule = *rule;
  search.tokens = options.tokens;
  search.seconds = options.seconds;
  search.folds = options.folds;
  search.survivors = options.survivors;
  search.preselect = options.preselect;
  search.seed = static_cast<std::uint64_t>(options.seed);
  search.delta_bytes = options.stream_bytes;
  if (const auto valid = search.validate(); !valid) return valid.error();
  return search;
}

result<void> check_task(const store_task& task,
                        const reward_options& rewards) {
  const auto judge = make_reward(task.reward, rewards);
  if (!judge) return judge.error();
  const auto examples = examples_of(task);
  if (!examples) return examples.error();
  for (const example& e : *examples) {
    if (const auto good = (*judge)->check(e); !good) {
      return error{good.error().code, "task " + task.name + ", example " +
                                          e.id + ": " + good.error().message};
    }
  }
  return {};
}

result<adaptation_plan> plan_adaptation(expert_store& store,
                                        const adapt_request& request,
                                        std::string_view base) {
  adaptation_plan plan;
  plan.caller = request.caller;
  auto search = to_few_shot(request.search);
  if (!search) return search.error();
  plan.search = std::move(*search);
  auto task = store.get_task(request.task);
  if (!task) return task.error();
  plan.task = std::move(*task);
  if (plan.task.base != base) {
    return error{ec::incompatible, "task " + plan.task.name +
                                       " belongs to base " + plan.task.base +
                                       ", the model is " + std::string(base)};
  }
  const auto examples = examples_of(plan.task);
  if (!examples) return examples.error();
  const auto names = experts_to_draw_from(store, request, base);
  if (!names) return names.error();

  std::vector<keyed_version> keyed;
  for (const std::string& name : *names) {
    const auto version = store.get_version(name);
    if (!version) return version.error();
    if (version->base != base) {
      return error{ec::incompatible, "expert " + name + " belongs to base " +
                                         version->base + ", the model is " +
                                         std::string(base)};
    }
    keyed.push_back({version->expert, version->version, version->sha256});
    plan.experts.components.push_back({.expert = version->expert,
                                       .version = version->version,
                                       .alpha = {}});
  }
  plan.experts.rule = plan.search.rule;
  const auto form = parse_prompt_form(plan.task.form);
  if (!form) return form.error();
  plan.key = adaptation_key(base, keyed, "few-shot", plan.search, *examples,
                            plan.task.reward, *form,
                            request.template_variables);
  if (const auto looked = look_up(store, plan, request.force); !looked) {
    return looked.error();
  }
  return plan;
}

result<store_adaptation> keep_adaptation(expert_store& store,
                                         const store_adaptation& adaptation) {
  const auto older = store.find_adaptation(adaptation.key);
  if (!older && older.error().code != ec::not_found) return older.error();
  // A search that was cut does not take the place of one that was not.
  if (older && !older->truncated && adaptation.truncated) return *older;
  if (older) {
    if (const auto gone = store.remove_adaptation(adaptation.key); !gone) {
      return gone.error();
    }
  }
  return store.put_adaptation(adaptation);
}

}  // namespace t2
