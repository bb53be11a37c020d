#include "store/expert_store.hpp"

#include <gtest/gtest.h>

#include "store/record_limits.hpp"
#include "tests/store/store_folder.hpp"

namespace t2 {
namespace {

class open_store : public testing::Test {
 protected:
  open_store() : store_(must(expert_store::open(folder_.path(), options()))) {
    must(store_.put_base_model(sample_base()));
  }

  store_options options() {
    return {.clock = [this] { return time_++; }};
  }

  void reopen() {
    { const expert_store closed = std::move(store_); }
    store_ = must(expert_store::open(folder_.path(), options()));
  }

  store_expert_version publish(std::string_view name, std::string_view z) {
    return must(store_.publish(name, key_of("base"), sample_version(z)));
  }

  store_folder folder_;
  std::int64_t time_ = 1'000'000;
  expert_store store_;
};

TEST_F(open_store, gives_back_every_field_of_a_version_after_it_was_reopened) {
  const auto sent = sample_version("some z bytes");
  const auto stored =
      must(store_.publish("coder", key_of("base"), sent, "writes code"));
  EXPECT_EQ(stored.version, 1);
  reopen();
  const auto back = must(store_.get_version("coder"));
  EXPECT_EQ(back.expert, "coder");
  EXPECT_EQ(back.base, key_of("base"));
  EXPECT_EQ(back.version, 1);
  EXPECT_EQ(back.z_safetensors, sent.z_safetensors);
  EXPECT_EQ(back.z_bytes, 12);
  EXPECT_EQ(back.sha256, sha256_hex("some z bytes"));
  EXPECT_EQ(back.parent_version, 0);
  EXPECT_EQ(back.norm, "nuclear");
  EXPECT_EQ(back.targets, "mlp");
  EXPECT_EQ(back.provenance_json, sent.provenance_json);
  EXPECT_EQ(back.created, stored.created);
  const auto expert = must(store_.get_expert("coder"));
  EXPECT_EQ(expert.description, "writes code");
  EXPECT_EQ(expert.current_version, 1);
  EXPECT_FALSE(expert.deleted);
}

TEST_F(open_store, numbers_versions_and_rolls_back_to_any_of_them) {
  publish("coder", "z1");
  must(store_.publish("coder", key_of("base"), sample_version("z2", 1)));
  publish("coder", "z3");
  EXPECT_EQ(must(store_.get_version("coder")).version, 3);
  EXPECT_EQ(must(store_.rollback("coder", 2)).current_version, 2);
  EXPECT_EQ(must(store_.get_version("coder")).z_safetensors, bytes_of("z2"));
  EXPECT_EQ(must(store_.get_version("coder@3")).z_safetensors, bytes_of("z3"));
  EXPECT_EQ(publish("coder", "z4").version, 4);
  const auto history = must(store_.history("coder"));
  ASSERT_EQ(history.size(), 4u);
  EXPECT_EQ(history[1].parent_version, 1);
  EXPECT_TRUE(history[1].z_safetensors.empty());
  EXPECT_EQ(history[1].z_bytes, 2);
  EXPECT_EQ(code_of(store_.rollback("coder", 5)), ec::not_found);
  EXPECT_EQ(code_of(store_.rollback("nobody", 1)), ec::not_found);
  EXPECT_EQ(code_of(store_.get_version("coder@9")), ec::not_found);
  for (const auto* nonsense : {"coder@", "coder@0", "coder@-1", "coder@1x"}) {
    EXPECT_EQ(code_of(store_.get_version(nonsense)), ec::invalid_argument);
  }
}

TEST_F(open_store, refuses_a_z_for_another_base) {
  must(store_.put_base_model(sample_base("other")));
  publish("coder", "z1");
  const auto refused =
      store_.publish("coder", key_of("other"), sample_version("z2"));
  ASSERT_EQ(code_of(refused), ec::incompatible);
  EXPECT_NE(refused.error().message.find(key_of("base")), std::string::npos);
  EXPECT_NE(refused.error().message.find(key_of("other")), std::string::npos);
  EXPECT_EQ(code_of(store_.publish("x", key_of("?"), sample_version("z"))),
            ec::not_found);
  EXPECT_EQ(must(store_.history("coder")).size(), 1u);
  EXPECT_EQ(must(store_.list_experts(key_of("other"))).size(), 0u);
}

TEST_F(open_store, keeps_a_bases_config_and_lets_its_name_change) {
  auto base = sample_base();
  base.name = "renamed";
  must(store_.put_base_model(base));
  EXPECT_EQ(must(store_.get_base_model(base.fingerprint)).name, "renamed");
  base.config_json = R"({"layers": 3})";
  EXPECT_EQ(code_of(store_.put_base_model(base)), ec::incompatible);
  EXPECT_EQ(must(store_.list_base_models()).size(), 1u);
}

TEST_F(open_store, keeps_what_adaptations_use_of_a_removed_expert) {
  publish("coder", "z1");
  publish("coder", "z2");
  publish("coder", "z3");
  must(store_.put_adaptation(sample_adaptation("k", {{"coder", 2}})));
  must(store_.remove_expert("coder"));
  EXPECT_EQ(code_of(store_.get_version("coder")), ec::not_found);
  EXPECT_EQ(code_of(store_.get_expert("coder")), ec::not_found);
  EXPECT_EQ(code_of(store_.remove_expert("coder")), ec::not_found);
  EXPECT_EQ(code_of(store_.get_version("coder@1")), ec::not_found);
  EXPECT_EQ(must(store_.get_version("coder@2")).z_safetensors, bytes_of("z2"));
  EXPECT_TRUE(must(store_.list_experts()).empty());
  EXPECT_TRUE(must(store_.list_experts({}, true)).at(0).deleted);
  // A number is never given twice, so an old mixture cannot mean a new z.
  EXPECT_EQ(publish("coder", "z4").version, 4);
  EXPECT_TRUE(must(store_.check()).empty());
}

TEST_F(open_store, gives_back_a_task_with_its_examples_in_order) {
  const auto sent = sample_task("sums");
  const auto id = must(store_.add_task(sent)).id;
  reopen();
  const auto back = must(store_.get_task("sums"));
  EXPECT_EQ(back.id, id);
  EXPECT_EQ(back.base, sent.base);
  EXPECT_EQ(back.description, sent.description);
  EXPECT_EQ(back.reward, "numeric");
  EXPECT_EQ(back.options_json, sent.options_json);
  ASSERT_EQ(back.examples.size(), 2u);
  EXPECT_EQ(back.examples[1].id, "b");
  EXPECT_EQ(back.examples[1].prompt, sent.examples[1].prompt);
  EXPECT_EQ(back.examples[1].answer, "1");
  EXPECT_EQ(back.examples[1].extra_json, R"({"weight": 2})");
  EXPECT_EQ(must(store_.get_task(id)).name, "sums");
  EXPECT_EQ(code_of(store_.add_task(sent)), ec::already_exists);
  EXPECT_EQ(code_of(store_.add_task(sample_task("x", "?"))), ec::not_found);
}

TEST_F(open_store, finds_an_adaptation_by_its_key_and_by_its_task) {
  publish("coder", "z1");
  publish("poet", "z1");
  auto sent = sample_adaptation("k", {{"poet", 1}, {"coder", 1}});
  sent.task_id = must(store_.add_task(sample_task("sums"))).id;
  must(store_.put_adaptation(sent));
  reopen();
  const auto back = must(store_.find_adaptation(key_of("k")));
  EXPECT_EQ(back.task_id, sent.task_id);
  EXPECT_EQ(back.mixture_json, sent.mixture_json);
  EXPECT_TRUE(back.accepted);
  EXPECT_FALSE(back.truncated);
  EXPECT_EQ(back.scores_json, sent.scores_json);
  EXPECT_EQ(back.cost_json, sent.cost_json);
  EXPECT_EQ(back.used, sent.used);
  EXPECT_EQ(must(store_.list_adaptations(*sent.task_id)).size(), 1u);
  EXPECT_EQ(must(store_.list_adaptations(77)).size(), 0u);
  EXPECT_EQ(code_of(store_.find_adaptation(key_of("l"))), ec::not_found);
}

TEST_F(open_store, replaces_a_truncated_adaptation_and_no_other) {
  auto cut_short = sample_adaptation("k", {});
  cut_short.truncated = true;
  const auto id = must(store_.put_adaptation(cut_short)).id;
  auto whole = sample_adaptation("k", {});
  whole.scores_json = R"({"gain": 1})";
  EXPECT_EQ(must(store_.put_adaptation(whole)).id, id);
  EXPECT_EQ(must(store_.find_adaptation(key_of("k"))).scores_json,
            whole.scores_json);
  EXPECT_EQ(code_of(store_.put_adaptation(whole)), ec::already_exists);
  must(store_.remove_adaptation(key_of("k")));
  EXPECT_EQ(code_of(store_.find_adaptation(key_of("k"))), ec::not_found);
  must(store_.put_adaptation(whole));
}

TEST_F(open_store, refuses_an_adaptation_of_what_is_not_there_or_foreign) {
  must(store_.put_base_model(sample_base("other")));
  must(store_.publish("alien", key_of("other"), sample_version("z")));
  publish("coder", "z");
  const auto put = [&](std::vector<store_version_ref> used) {
    return code_of(store_.put_adaptation(sample_adaptation("k", used)));
  };
  EXPECT_EQ(put({{"nobody", 1}}), ec::not_found);
  EXPECT_EQ(put({{"coder", 2}}), ec::not_found);
  EXPECT_EQ(put({{"alien", 1}}), ec::incompatible);
  auto of_task = sample_adaptation("k", {});
  of_task.task_id = 5;
  EXPECT_EQ(code_of(store_.put_adaptation(of_task)), ec::not_found);
  of_task.task_id = must(store_.add_task(sample_task("far", "other"))).id;
  EXPECT_EQ(code_of(store_.put_adaptation(of_task)), ec::incompatible);
  EXPECT_TRUE(must(store_.list_adaptations()).empty());
}

TEST_F(open_store, keeps_adaptations_and_evaluations_of_a_removed_task) {
  auto adaptation = sample_adaptation("k", {});
  adaptation.task_id = must(store_.add_task(sample_task("sums"))).id;
  const auto id = must(store_.put_adaptation(adaptation)).id;
  must(store_.put_evaluation({.task_id = adaptation.task_id,
                              .adaptation_id = id,
                              .base = key_of("base"),
                              .dataset = "held out",
                              .data_sha256 = key_of("rows"),
                              .scores_json = R"({"exact": 0.5})"}));
  must(store_.remove_task("sums"));
  EXPECT_EQ(code_of(store_.get_task("sums")), ec::not_found);
  EXPECT_FALSE(must(store_.find_adaptation(key_of("k"))).task_id);
  const auto evaluation = must(store_.list_evaluations()).at(0);
  EXPECT_FALSE(evaluation.task_id);
  EXPECT_EQ(evaluation.adaptation_id, id);
  EXPECT_EQ(evaluation.scores_json, R"({"exact": 0.5})");
  must(store_.remove_adaptation(key_of("k")));
  EXPECT_FALSE(must(store_.list_evaluations()).at(0).adaptation_id);
  EXPECT_TRUE(must(store_.check()).empty());
}

TEST_F(open_store, logs_every_change_and_no_failed_one) {
  publish("coder", "z1");
  publish("coder", "z2");
  must(store_.rollback("coder", 1));
  EXPECT_FALSE(store_.rollback("coder", 7));
  EXPECT_FALSE(store_.remove_task("none"));
  const auto log = must(store_.audit(100));
  std::vector<std::string> told;
  for (const auto& entry : log) {
    EXPECT_EQ(entry.sequence, static_cast<std::int64_t>(told.size()) + 1);
    told.push_back(entry.action + " " + entry.subject);
  }
  const std::vector<std::string> expected = {
      "create store.db", "add_base_model " + key_of("base"), "publish coder@1",
      "publish coder@2", "rollback coder@1"};
  EXPECT_EQ(told, expected);
  EXPECT_EQ(log.back().detail_json, R"({"from":2})");
  EXPECT_EQ(must(store_.audit(2)).front().subject, "coder@2");
  EXPECT_TRUE(must(store_.audit(0)).empty());
}

TEST_F(open_store, refuses_names_sizes_and_text_outside_the_limits) {
  const auto publish_code = [&](std::string_view name,
                                const store_expert_version& version) {
    return code_of(store_.publish(name, key_of("base"), version));
  };
  const auto good = sample_version("z");
  EXPECT_EQ(publish_code(std::string(64, 'a'), good), ec::none);
  for (const auto& bad :
       {std::string(), std::string(65, 'a'), std::string("A"),
        std::string("-a"), std::string("a/b"), std::string("a@1"),
        std::string("../a"), std::string("a\0b", 3)}) {
    EXPECT_EQ(publish_code(bad, good), ec::invalid_argument) << bad;
    auto task = sample_task("t");
    task.name = bad;
    EXPECT_EQ(code_of(store_.add_task(task)), ec::invalid_argument);
  }
  auto version = good;
  version.z_safetensors.clear();
  EXPECT_EQ(publish_code("a", version), ec::invalid_argument);
  version = good;
  version.norm = "l2";
  EXPECT_EQ(publish_code("a", version), ec::invalid_argument);
  version = good;
  version.parent_version = 1;
  EXPECT_EQ(publish_code("a", version), ec::invalid_argument);
  for (const auto& bad : {std::string("{"), std::string(),
                          std::string("{}\0x", 4), std::string("\"\xff\"")}) {
    version = good;
    version.provenance_json = bad;
    EXPECT_EQ(publish_code("a", version), ec::invalid_argument) << bad;
  }
  version.provenance_json = '"' + std::string(record_limits::json, 'x') + '"';
  EXPECT_EQ(publish_code("a", version), ec::invalid_argument);

  // As models these two are something else.
  for (const char* taken : {"base", "auto"}) {
    auto other = sample_task("t");
    other.name = taken;
    EXPECT_EQ(code_of(store_.add_task(other)), ec::invalid_argument);
  }
  auto task = sample_task("t");
  task.examples[1].id = "a";
  EXPECT_EQ(code_of(store_.add_task(task)), ec::invalid_argument);
  task = sample_task("t");
  task.examples[0].prompt = std::string(record_limits::text + 1, 'x');
  EXPECT_EQ(code_of(store_.add_task(task)), ec::invalid_argument);
  for (const auto* bad :
       {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80"}) {
    task.examples[0].prompt = bad;
    EXPECT_EQ(code_of(store_.add_task(task)), ec::invalid_argument);
  }
  task.examples[0].prompt = std::string("nul \0 and 𝄞", 14);
  must(store_.add_task(task));
  EXPECT_EQ(must(store_.get_task("t")).examples[0].prompt,
            task.examples[0].prompt);

  auto adaptation = sample_adaptation("k", {});
  adaptation.key = "short";
  EXPECT_EQ(code_of(store_.put_adaptation(adaptation)), ec::invalid_argument);
}

TEST_F(open_store, holds_bytes_of_every_kind_and_of_megabytes) {
  std::string z(3'000'001, '\0');
  for (std::size_t i = 0; i < z.size(); ++i) {
    z[i] = static_cast<char>(i * i % 257);
  }
  publish("big", z);
  reopen();
  EXPECT_EQ(must(store_.get_version("big")).z_safetensors, bytes_of(z));
  EXPECT_EQ(folder_.names(),
            (std::set<std::string>{"store.db", "store.db-wal"}));
}

TEST_F(open_store, backs_up_a_whole_store_that_opens_on_its_own) {
  publish("coder", "z1");
  must(store_.add_task(sample_task("sums")));
  const auto copy = folder_.folder() / "copy.db";
  must(store_.backup(copy));
  publish("coder", "z2");
  {
    auto opened = must(expert_store::open(copy, at_time(9)));
    EXPECT_EQ(must(opened.get_version("coder")).version, 1);
    EXPECT_EQ(must(opened.get_task("sums")).examples.size(), 2u);
    EXPECT_TRUE(must(opened.check()).empty());
    must(opened.publish("coder", key_of("base"), sample_version("other")));
  }
  EXPECT_EQ(must(store_.get_version("coder")).z_safetensors, bytes_of("z2"));
  EXPECT_EQ(code_of(store_.backup(copy)), ec::already_exists);
  EXPECT_EQ(code_of(store_.backup(folder_.path())), ec::already_exists);
  const auto nowhere = folder_.folder() / "none" / "copy.db";
  EXPECT_EQ(code_of(store_.backup(nowhere)), ec::not_found);
  EXPECT_EQ(folder_.names(),
            (std::set<std::string>{"store.db", "store.db-wal", "copy.db",
                                   "copy.db.lock"}));
}

TEST(read_only_store, reads_at_rest_and_through_a_log_and_writes_nothing) {
  store_folder folder;
  const store_options reading{.read_only = true};
  EXPECT_EQ(code_of(expert_store::open(folder.path(), reading)), ec::not_found);
  {
    auto store = must(expert_store::open(folder.path(), at_time(1)));
    must(store.put_base_model(sample_base()));
    must(store.publish("coder", key_of("base"), sample_version("z")));
    // What a crash at this instant would leave.
    std::filesystem::copy(folder.folder(), folder.folder() / "crashed");
  }
  const auto at_rest = folder.bytes();
  {
    auto first = must(expert_store::open(folder.path(), reading));
    auto second = must(expert_store::open(folder.path(), reading));
    EXPECT_EQ(must(second.get_version("coder")).version, 1);
    EXPECT_EQ(code_of(first.remove_expert("coder")), ec::invalid_argument);
    EXPECT_EQ(code_of(expert_store::open(folder.path())), ec::busy);
  }
  EXPECT_EQ(folder.bytes(), at_rest);

  const auto crashed = folder.folder() / "crashed" / "store.db";
  const auto log = folder.folder() / "crashed" / "store.db-wal";
  const auto file_before = store_folder::bytes(crashed);
  const auto log_before = store_folder::bytes(log);
  ASSERT_GT(log_before.size(), 0u);
  {
    auto store = must(expert_store::open(crashed, reading));
    EXPECT_EQ(must(store.get_version("coder")).version, 1);
    EXPECT_EQ(code_of(store.remove_expert("coder")), ec::invalid_argument);
  }
  EXPECT_EQ(store_folder::bytes(crashed), file_before);
  EXPECT_EQ(store_folder::bytes(log), log_before);
}

}  // namespace
}  // namespace t2
