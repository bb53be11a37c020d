// Models by name, and what their chat templates are told.

#include <filesystem>

#include "tests/e2e/playground.hpp"

namespace t2 {
namespace {

namespace fs = std::filesystem;

class models : public test::playground {};

TEST_F(models, that_can_be_fetched_are_listed) {
  const auto listed = t2({"model", "list", "--json"});
  EXPECT_EQ(listed.code, 0) << listed.err;
  const auto rows = listed.json();
  ASSERT_GE(rows.size(), 2u);
  EXPECT_EQ(rows[0]["name"], "smollm2");
  EXPECT_EQ(rows[0]["licence"], "Apache-2.0");
  EXPECT_TRUE(rows[0]["path"].is_null());
  EXPECT_EQ(rows[0]["sha256"].get<std::string>().size(), 64u);
}

TEST_F(models, that_are_not_known_are_refused_with_those_that_are) {
  const auto added = t2({"model", "add", "smolm2"});
  EXPECT_EQ(added.code, 3);
  EXPECT_NE(added.err.find("smollm2, gemma3-270m"), std::string::npos)
      << added.err;
}

// Before anything is fetched.
TEST_F(models, whose_licence_binds_are_not_fetched_without_a_yes) {
  const auto added = t2({"model", "add", "gemma3-270m"});
  EXPECT_EQ(added.code, 2);
  EXPECT_NE(added.err.find("Gemma Terms of Use"), std::string::npos);
  EXPECT_NE(added.err.find("--accept-licence"), std::string::npos) << added.err;
  EXPECT_EQ(added.err.find("fetching"), std::string::npos) << added.err;
}

TEST_F(models, that_were_fetched_go_by_their_names) {
  const auto place = folder_ / ".local/share/t2/models/smollm2";
  fs::create_directories(place);
  fs::copy_file(tests::assets() / "gguf/stories260k-q8_0.gguf",
                place / "SmolLM2-135M-Instruct.Q4_1.gguf");
  EXPECT_EQ(t2({"model", "show", "smollm2"}).code, 0);
  const auto asked =
      t2({"ask", "Once upon a time", "--model-path", "smollm2", "--max-tokens",
          "4", "--json"});
  EXPECT_EQ(asked.code, 0) << asked.err;
  EXPECT_EQ(asked.json()["usage"]["completion_tokens"], 4);
}

TEST_F(models, templates_are_told_what_the_configuration_and_a_request_say) {
  const auto model = folder_ / "model";
  fs::copy(tests::assets() / "stories260k-hf", model);
  std::ofstream(fs::path(model) / "chat_template.jinja")
      << "{% if enable_thinking is defined and not enable_thinking %}once upon "
         "a time there was {% endif %}{{ messages[0].content }}";
  const auto prompt_tokens = [&](std::vector<std::string> more) {
    std::vector<std::string> command{"ask",          "hi",
                                     "--model-path", model.string(),
                                     "--max-tokens", "1",
                                     "--json"};
    command.insert(command.end(), more.begin(), more.end());
    const auto asked = t2(command);
    EXPECT_EQ(asked.code, 0) << asked.err;
    return asked.json()["usage"]["prompt_tokens"].get<int>();
  };
  const int plain = prompt_tokens({});
  EXPECT_GT(prompt_tokens({"--model-chat-template-kwargs",
                           R"({"enable_thinking": false})"}),
            plain);
  EXPECT_EQ(prompt_tokens({"--model-chat-template-kwargs",
                           R"({"enable_thinking": true})"}),
            plain);
  const auto refused =
      t2({"ask", "hi", "--model-path", model.string(),
          "--model-chat-template-kwargs", "[1]"});
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("expected a JSON object"), std::string::npos)
      << refused.err;
  // A name that the template is told anyway: the model does not load.
  const auto taken =
      t2({"ask", "hi", "--model-path", model.string(),
          "--model-chat-template-kwargs", R"({"messages": 1})"});
  EXPECT_NE(taken.code, 0);
  EXPECT_NE(taken.err.find("chat_template_kwargs"), std::string::npos)
      << taken.err;
}

}  // namespace
}  // namespace t2
