// Where queries go, on the model that ships with t2.
#include "tests/e2e/playground.hpp"
#include "tests/paths.hpp"

namespace t2::test {
namespace {

class routes : public playground {
 protected:
  routes() {
    const std::string assets = tests::source_folder() / "assets";
    environment_["T2_MODEL_PATH"] = assets + "/t2-mini";
    environment_["T2_MODEL_DTYPE"] = "float32";
    daemon_ = start_daemon();
    for (const std::string name : {"math", "code", "reasoning"}) {
      const auto imported = t2(
          {"expert", "import", name, assets + "/experts/" + name +
                                         ".safetensors"});
      EXPECT_EQ(imported.code, 0) << imported.err;
    }
  }

  nlohmann::json route(const std::string& text) {
    return t2({"route", text, "--json"}).json();
  }

  static constexpr const char* sum =
      "Max finds 47 shells and then 19 more. How many shells does Max find?";
  std::unique_ptr<child_process> daemon_;
};

TEST_F(routes, lead_a_query_to_its_expert_and_say_why) {
  const auto found = route(sum);
  EXPECT_EQ(found.at("label"), "math");
  EXPECT_EQ(found.at("strategy"), "prompt");
  EXPECT_GT(found.at("confidence"), 0.5);
  EXPECT_EQ(found.at("mixture").at("components").at(0).at("expert"), "math");
  double sum_of_all = 0;
  for (const auto& [label, p] : found.at("probabilities").items())
    sum_of_all += p.get<double>();
  EXPECT_NEAR(sum_of_all, 1, 1e-6);
  const auto asked = t2({"ask", sum, "--chat", "--explain"});
  EXPECT_EQ(asked.code, 0);
  EXPECT_NE(asked.out.find("#### 66"), std::string::npos) << asked.out;
  EXPECT_NE(asked.err.find("pass 1 says math"), std::string::npos)
      << asked.err;
  EXPECT_EQ(route("Hello!").at("mixture").at("components").size(), 0u);
}

TEST_F(routes, are_counted_by_what_was_taken_for_what) {
  const auto file_of_queries = file(
      "queries.jsonl", "{\"prompt\": \"" + std::string{sum} +
                           "\", \"answer\": \"math\"}\n"
                           "{\"prompt\": \"Hello!\", \"answer\": \"other\"}\n");
  // The shipped experts say what they have seen: none of this.
  const auto counted = t2({"route", file_of_queries, "--file", "--json"});
  ASSERT_EQ(counted.code, 0) << counted.err;
  EXPECT_EQ(counted.json().at("count"), 2);
  EXPECT_EQ(counted.json().at("accuracy"), 1.0);
  const auto refused = t2({"route", sum, "--by", "classifier"});
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("route.classifier"), std::string::npos);
}

TEST_F(routes, find_a_task_by_its_label) {
  const auto examples_file = file(
      "sums.jsonl",
      "{\"messages\": [{\"role\": \"user\", \"content\": \"Tom has 11 cards. He "
      "gets 22 more. How many cards does he have now?\"}], \"answer\": "
      "\"1+2=3 1+2=3 #### 33\"}\n"
      "{\"messages\": [{\"role\": \"user\", \"content\": \"Tim has 15 cups. He "
      "gets 21 more. How many cups does he have now?\"}], \"answer\": "
      "\"5+1=6 1+2=3 #### 36\"}\n");
  const std::vector<std::string> add = {
      "task", "add", "sums", "--examples", examples_file, "--reward",
      "numeric", "--label", "math"};
  ASSERT_EQ(t2(add).code, 0);
  auto again = add;
  again[2] = "others";
  const auto taken = t2(again);
  EXPECT_EQ(taken.code, 2);
  EXPECT_NE(taken.err.find("'math' is that of task sums"), std::string::npos)
      << taken.err;
  // Not adapted: the expert of that name answers.
  EXPECT_EQ(route(sum).at("mixture").at("components").size(), 1u);
  auto adapt = quick_search();
  adapt.insert(adapt.begin(), {"adapt", "sums", "--json"});
  ASSERT_EQ(t2(adapt).code, 0);
  const auto found = route(sum);
  EXPECT_EQ(found.at("task"), "sums");
  EXPECT_NE(found.at("reason").get<std::string>().find("2 examples"),
            std::string::npos)
      << found;
}

}  // namespace
}  // namespace t2::test
