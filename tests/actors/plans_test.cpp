#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "actors/adaptation_plan.hpp"
#include "actors/route_plan.hpp"
#include "actors/route_table.hpp"

namespace t2 {
namespace {

const std::string base(64, 'a');
const std::string other(64, 'b');

/// A real store with an expert and a task of the base.
class plans : public testing::Test {
 protected:
  plans()
      : folder_(std::filesystem::temp_directory_path() /
                ("t2-plans-" + std::to_string(::getpid()))),
        store_(open()) {
    EXPECT_TRUE(store_.put_base_model({.fingerprint = base, .name = "base"}));
    EXPECT_TRUE(store_.put_base_model({.fingerprint = other, .name = "other"}));
    publish("code", base);
    add_task("cats");
  }
  ~plans() override { std::filesystem::remove_all(folder_); }

  expert_store open() {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    auto opened = expert_store::open(folder_ / "store.sqlite");
    EXPECT_TRUE(opened) << opened.error().message;
    return std::move(*opened);
  }

  void publish(const std::string& name, const std::string& of) {
    store_expert_version version;
    version.z_safetensors = {std::byte{1}, std::byte{2}};
    version.norm = "none";
    version.targets = "all";
    const auto published = store_.publish(name, of, version);
    ASSERT_TRUE(published) << published.error().message;
  }

  store_task add_task(const std::string& name) {
    store_task task;
    task.name = name;
    task.base = base;
    task.reward = "exact";
    task.examples = {{.id = "1", .prompt = "a", .answer = "b"},
                     {.id = "2", .prompt = "c", .answer = "d"}};
    const auto added = store_.add_task(task);
    EXPECT_TRUE(added) << added.error().message;
    return *added;
  }

  adaptation_plan plan(const std::string& task, bool force = false) {
    adapt_request request;
    request.task = task;
    request.force = force;
    auto made = plan_adaptation(store_, request, base);
    EXPECT_TRUE(made) << made.error().message;
    return std::move(*made);
  }

  store_adaptation keep(const adaptation_plan& p, bool accepted,
                        float alpha = 0.5f) {
    mixture m;
    m.components.push_back({.expert = "code", .version = 1, .alpha = {alpha}});
    store_adaptation found;
    found.task_id = p.task.id;
    found.key = p.key;
    found.base = base;
    found.accepted = accepted;
    found.mixture_json = to_json(accepted ? m : mixture{});
    if (accepted) found.used = {{"code", 1}};
    const auto kept = keep_adaptation(store_, found);
    EXPECT_TRUE(kept) << kept.error().message;
    return *kept;
  }

  std::filesystem::path folder_;
  expert_store store_;
};

TEST_F(plans, lead_a_task_without_an_adaptation_to_the_base) {
  const auto route = resolve_route(store_, "cats", base);
  ASSERT_TRUE(route) << route.error().message;
  EXPECT_EQ(route->route.strategy, "base");
  EXPECT_EQ(route->route.task, "cats");
  EXPECT_EQ(route->mixture_key(), "");
}

TEST_F(plans, lead_a_task_to_its_newest_adaptation) {
  const auto kept = keep(plan("cats"), true);
  const auto route = resolve_route(store_, "cats", base);
  ASSERT_TRUE(route);
  EXPECT_EQ(route->route.strategy, "few-shot");
  EXPECT_EQ(route->route.adaptation_key, kept.key);
  ASSERT_EQ(route->recipe.components.size(), 1u);
  EXPECT_EQ(route->recipe.components[0].alpha, std::vector<float>{0.5f});
  EXPECT_NE(route->mixture_key(), "");
}

TEST_F(plans, lead_a_task_whose_search_stayed_on_the_base_there) {
  keep(plan("cats"), false);
  const auto route = resolve_route(store_, "cats", base);
  ASSERT_TRUE(route);
  EXPECT_EQ(route->route.strategy, "few-shot");
  EXPECT_TRUE(route->recipe.is_base());
}

TEST_F(plans, lead_to_an_expert_by_name_and_by_version) {
  publish("code", base);
  for (const auto& [target, version] :
       {std::pair{"expert:code", 2}, std::pair{"expert:code@1", 1}}) {
    const auto route = resolve_route(store_, target, base);
    ASSERT_TRUE(route) << target;
    ASSERT_EQ(route->recipe.components.size(), 1u);
    EXPECT_EQ(route->recipe.components[0].version, version);
    EXPECT_EQ(route->recipe.components[0].alpha, std::vector<float>{1});
  }
  EXPECT_EQ(resolve_route(store_, "expert:none", base).error().code,
            ec::not_found);
  EXPECT_EQ(resolve_route(store_, "expert:code", other).error().code,
            ec::incompatible);
}

TEST_F(plans, lead_a_label_to_its_task_then_to_its_expert_then_to_the_base) {
  const auto expert = resolve_route(store_, "label:code", base);
  ASSERT_TRUE(expert);
  EXPECT_EQ(expert->recipe.components.size(), 1u);
  EXPECT_EQ(expert->route.strategy, "prompt");
  EXPECT_EQ(expert->route.label, "code");
  const auto nothing = resolve_route(store_, "label:math", base);
  ASSERT_TRUE(nothing);
  EXPECT_TRUE(nothing->recipe.is_base());
  add_task("code");
  EXPECT_EQ(resolve_route(store_, "label:code", base)->route.task, "")
      << "the task is not adapted, the expert answers";
  keep(plan("code"), true);
  const auto task = resolve_route(store_, "label:code", base);
  ASSERT_TRUE(task);
  EXPECT_EQ(task->route.task, "code");
  EXPECT_FALSE(task->recipe.is_base());
  EXPECT_TRUE(resolve_route(store_, "label:other", base)->recipe.is_base());
}

TEST_F(plans, know_whether_a_label_leads_anywhere) {
  publish("math", other);
  EXPECT_TRUE(find_labels(store_, {{"cats", ""}, {"none", ""}}, base)->leads);
  EXPECT_TRUE(find_labels(store_, {{"none", ""}, {"code", ""}}, base)->leads);
  EXPECT_FALSE(find_labels(store_, {{"math", ""}, {"none", ""}}, base)->leads);
}

TEST_F(plans, take_classes_from_tasks_with_a_label) {
  store_task task = *store_.get_task("cats");
  task.name = "kittens";
  task.description = "small cats";
  task.options_json = R"({"label": "pets"})";
  ASSERT_TRUE(check_label(store_, task));
  ASSERT_TRUE(store_.add_task(task));
  const auto table = find_labels(store_, {{"code", "programs"}}, base);
  ASSERT_TRUE(table);
  EXPECT_EQ(table->labels, (std::vector<query_label>{{"code", "programs"},
                                                     {"pets", "small cats"}}));
  keep(plan("kittens"), true);
  EXPECT_EQ(resolve_route(store_, "label:pets", base)->route.task, "kittens");
  // Of another task of this base, no word at all, and taken.
  task.name = "puppies";
  EXPECT_EQ(check_label(store_, task).error().code, ec::already_exists);
  for (const char* wrong : {R"({"label": ""})", R"({"label": "other"})",
                            R"({"label": 3})", R"({"label": "a: b"})"}) {
    task.options_json = wrong;
    EXPECT_EQ(check_label(store_, task).error().code, ec::invalid_argument)
        << wrong;
  }
}

TEST_F(plans, find_an_adaptation_again_by_its_key) {
  const auto first = plan("cats");
  EXPECT_FALSE(first.found);
  const auto kept = keep(first, true);
  const auto second = plan("cats");
  ASSERT_TRUE(second.found);
  EXPECT_EQ(second.found->id, kept.id);
  const auto forced = plan("cats", true);
  EXPECT_FALSE(forced.found);
  EXPECT_EQ(forced.key, first.key);
  keep(forced, true, 0.25f);
  const auto route = resolve_route(store_, "cats", base);
  EXPECT_EQ(route->recipe.components[0].alpha, std::vector<float>{0.25f});
}

TEST_F(plans, change_their_key_with_an_experts_version) {
  const auto before = plan("cats");
  publish("code", base);
  EXPECT_NE(plan("cats").key, before.key);
}

TEST_F(plans, give_a_task_that_came_back_what_was_computed_for_it) {
  keep(plan("cats"), true);
  ASSERT_TRUE(store_.remove_task("cats"));
  add_task("cats");
  EXPECT_EQ(resolve_route(store_, "cats", base)->route.strategy, "base");
  EXPECT_TRUE(plan("cats").found);
  EXPECT_EQ(resolve_route(store_, "cats", base)->route.strategy, "few-shot");
}

TEST_F(plans, share_an_outcome_between_tasks_with_the_same_examples) {
  keep(plan("cats"), true);
  add_task("kittens");
  const auto shared = plan("kittens");
  ASSERT_TRUE(shared.found);
  EXPECT_EQ(shared.found->task_id, shared.task.id);
  EXPECT_EQ(resolve_route(store_, "kittens", base)->route.strategy, "few-shot");
  EXPECT_EQ(resolve_route(store_, "cats", base)->route.strategy, "few-shot");
  EXPECT_TRUE(plan("kittens").found) << "again, by the key of its own";
  const auto forced = plan("kittens", true);
  EXPECT_FALSE(forced.found);
  EXPECT_NE(forced.key, plan("cats").key);
}

TEST_F(plans, need_an_expert_of_this_base_to_draw_from) {
  ASSERT_TRUE(store_.remove_expert("code"));
  adapt_request request;
  request.task = "cats";
  const auto made = plan_adaptation(store_, request, base);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ec::not_found);
  EXPECT_NE(made.error().message.find("expert"), std::string::npos);
}

TEST_F(plans, refuse_options_that_say_nonsense) {
  search_options options;
  options.per = "layer";
  EXPECT_EQ(to_few_shot(options).error().code, ec::invalid_argument);
  options = {};
  options.rule = "sum";
  EXPECT_EQ(to_few_shot(options).error().code, ec::invalid_argument);
}

TEST(route_table, drops_an_answer_to_a_question_of_an_older_epoch) {
  route_table table;
  const auto asked = table.epoch();
  table.forget();
  table.put("cats", {}, asked);
  table.put_labels(std::make_shared<label_table>(), asked);
  EXPECT_EQ(table.find("cats"), nullptr);
  EXPECT_FALSE(table.labels());
  table.put("cats", {}, table.epoch());
  EXPECT_NE(table.find("cats"), nullptr);
}

TEST(parse_label, splits_a_name_from_its_description) {
  EXPECT_EQ(parse_label("code"), (query_label{"code", ""}));
  EXPECT_EQ(parse_label("math: sums and proofs"),
            (query_label{"math", "sums and proofs"}));
}

}  // namespace
}  // namespace t2
