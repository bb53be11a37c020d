#include "actors/seen_plan.hpp"

#include <ATen/ops/ones.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "adaptation/expert.hpp"
#include "adaptation/mixture.hpp"
#include "tests/adaptation/tiny_shape.hpp"

namespace t2 {
namespace {

const std::string base(64, 'a');

example asking(const std::string& prompt) {
  example e;
  e.id = prompt;
  e.prompt = prompt;
  e.answer = "yes";
  return e;
}

std::string hashes(std::initializer_list<const char*> prompts) {
  seen_prompts seen;
  for (const char* p : prompts) seen.add(asking(p));
  return seen.text();
}

/// A real store: expert math has seen "m", expert old says nothing, and task
/// cats was adapted on "c" to a mixture of math alone.
class what_was_seen : public testing::Test {
 protected:
  what_was_seen()
      : folder_(std::filesystem::temp_directory_path() /
                ("t2-seen-" + std::to_string(::getpid()))),
        store_(open()) {
    EXPECT_TRUE(store_.put_base_model({.fingerprint = base, .name = "base"}));
    publish("math", true);
    publish("old", false);
    store_task task;
    task.name = "cats";
    task.base = base;
    task.reward = "exact";
    task.examples = {{.id = "1", .prompt = "c", .answer = "yes"}};
    const auto added = store_.add_task(task);
    EXPECT_TRUE(added) << added.error().message;
    mixture m;
    m.components.push_back({.expert = "math", .version = 1, .alpha = {1}});
    store_adaptation found;
    found.task_id = added->id;
    found.key = std::string(64, 'c');
    found.base = base;
    found.accepted = true;
    found.mixture_json = to_json(m);
    found.used = {{"math", 1}};
    found.scores_json = with_seen_prompts(R"({"gain":1})", task.examples);
    const auto kept = store_.put_adaptation(found);
    EXPECT_TRUE(kept) << kept.error().message;
  }
  ~what_was_seen() override { std::filesystem::remove_all(folder_); }

  expert_store open() {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    auto opened = expert_store::open(folder_ / "store.sqlite");
    EXPECT_TRUE(opened) << opened.error().message;
    return std::move(*opened);
  }

  void publish(const std::string& name, bool recorded) {
    const svf_layout layout{tiny_config(), svf_targets::all};
    expert e{.name = name, .base = base, .targets = svf_targets::all};
    e.z = at::ones({layout.total()});
    if (recorded) {
      e.seen.emplace();
      e.seen->add(asking("m"));
    }
    auto file = serialise_expert(e, tiny_config());
    ASSERT_TRUE(file) << file.error().message;
    store_expert_version version;
    version.z_safetensors = *std::move(file);
    version.norm = "none";
    version.targets = "all";
    const auto published = store_.publish(name, base, version);
    ASSERT_TRUE(published) << published.error().message;
  }

  result<store_evaluation> keep(const std::string& target,
                                const std::string& prompts,
                                bool allow_unrecorded = false) {
    return keep_evaluation(store_,
                           {.target = target,
                            .dataset = "test.jsonl",
                            .data_sha256 = std::string(64, 'd'),
                            .prompts = prompts,
                            .scores_json = R"({"accuracy":0.5})",
                            .allow_unrecorded = allow_unrecorded},
                           base);
  }

  std::filesystem::path folder_;
  expert_store store_;
};

TEST_F(what_was_seen, is_nothing_behind_the_base) {
  EXPECT_TRUE(seen_by_target(store_, "base")->empty());
}

TEST_F(what_was_seen, is_told_of_an_expert) {
  const auto seen = seen_by_target(store_, "expert:math");
  ASSERT_TRUE(seen) << seen.error().message;
  ASSERT_EQ(seen->size(), 1u);
  EXPECT_EQ(seen->front().owner, "expert math@1");
  EXPECT_EQ(seen->front().hashes, hashes({"m"}));
  EXPECT_FALSE(seen_by_target(store_, "expert:old")->front().hashes);
  EXPECT_EQ(seen_by_target(store_, "expert:none").error().code, ec::not_found);
}

TEST_F(what_was_seen, of_a_task_is_its_searchs_and_its_experts) {
  const auto seen = seen_by_target(store_, "cats");
  ASSERT_TRUE(seen) << seen.error().message;
  ASSERT_EQ(seen->size(), 2u);
  EXPECT_EQ((*seen)[0].owner, "the adaptation of task cats");
  EXPECT_EQ((*seen)[0].hashes, hashes({"c"}));
  EXPECT_EQ((*seen)[1].owner, "expert math@1");
}

TEST_F(what_was_seen, of_auto_is_everybodys) {
  const auto seen = seen_by_target(store_, "auto");
  ASSERT_TRUE(seen) << seen.error().message;
  EXPECT_EQ(seen->size(), 4u);  // two experts, the task and its expert
}

TEST_F(what_was_seen, keeps_an_evaluation_out_of_the_store) {
  for (const auto& [target, prompt] :
       {std::pair{"expert:math", "m"}, {"cats", "c"}, {"cats", "m"}}) {
    const auto refused = keep(target, hashes({"new", prompt}));
    ASSERT_FALSE(refused) << target << " " << prompt;
    EXPECT_EQ(refused.error().code, ec::incompatible);
  }
  EXPECT_EQ(keep("expert:math", hashes({"m"})).error().message,
            "evaluation: expected prompts that expert math@1 has not seen, "
            "found 1 that it has");
  EXPECT_TRUE(store_.list_evaluations()->empty());
}

TEST_F(what_was_seen, does_not_hinder_an_evaluation_on_other_prompts) {
  const auto kept = keep("cats", hashes({"new"}));
  ASSERT_TRUE(kept) << kept.error().message;
  EXPECT_TRUE(kept->task_id);
  EXPECT_TRUE(kept->adaptation_id);
  EXPECT_EQ(nlohmann::json::parse(kept->scores_json),
            (nlohmann::json{{"accuracy", 0.5}, {"target", "cats"}}));
  EXPECT_TRUE(keep("base", hashes({"m"})));
  EXPECT_EQ(store_.list_evaluations()->size(), 2u);
}

TEST_F(what_was_seen, must_be_known_unless_it_is_waived) {
  const auto refused = keep("expert:old", hashes({"new"}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "evaluation: expected to know which prompts expert old@1 has "
            "seen, found no record of it");
  EXPECT_TRUE(keep("expert:old", hashes({"new"}), true));
  // Whatever pass 1 may say.
  for (const char* target : {"auto", "auto:prompt", "auto:classifier"}) {
    EXPECT_FALSE(keep(target, hashes({"new"}))) << target;
    EXPECT_TRUE(keep(target, hashes({"new"}), true)) << target;
  }
}

TEST_F(what_was_seen, needs_the_hashes_of_what_was_asked) {
  for (const char* bad : {"", "xyz", "00"})
    EXPECT_EQ(keep("base", bad).error().code, ec::invalid_argument) << bad;
}

}  // namespace
}  // namespace t2
