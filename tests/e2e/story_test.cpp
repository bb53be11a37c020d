#include <signal.h>

#include <set>

#include "tests/e2e/playground.hpp"
#include "tests/paths.hpp"

namespace t2::test {
namespace {

using story = playground;

TEST_F(story, a_daemon_adapts_a_task_once_and_answers_its_stream) {
  const auto daemon = start_daemon();

  const auto added = t2({"task", "add", "stories", "--examples", examples(),
                         "--reward", "logprob"});
  ASSERT_EQ(added.code, 0) << added.err;
  EXPECT_EQ(t2({"task", "add", "stories", "--examples", examples()}).code, 2)
      << "the name is taken";
  train("talk", "1");
  train("song", "2");
  const auto experts = t2({"expert", "list", "--json"}).json();
  ASSERT_EQ(experts.at("data").size(), 2u);

  auto adapt = quick_search();
  adapt.insert(adapt.begin(), {"adapt", "stories", "--json"});
  const auto first = t2(adapt);
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_FALSE(first.json().at("reused").get<bool>());
  const auto second = t2(adapt).json();
  EXPECT_TRUE(second.at("reused").get<bool>());
  EXPECT_EQ(second.at("key"), first.json().at("key"));
  EXPECT_EQ(second.at("mixture"), first.json().at("mixture"));

  const std::vector<std::string> ask = {"ask",          "--task", "stories",
                                        "--max-tokens", "16",     "Once upon"};
  auto ask_json = ask;
  ask_json.push_back("--json");
  const auto streamed = t2(ask);
  ASSERT_EQ(streamed.code, 0) << streamed.err;
  const auto whole = t2(ask_json).json();
  EXPECT_EQ(whole.at("choices").at(0).at("text").get<std::string>() + "\n",
            streamed.out);
  EXPECT_EQ(whole.at("usage").at("completion_tokens"), 16);
  EXPECT_EQ(whole.at("t2").at("task"), "stories");
  EXPECT_TRUE(whole.at("t2").at("cached").get<bool>());
  auto explain = ask;
  explain.push_back("--explain");
  EXPECT_NE(t2(explain).err.find("task        stories"), std::string::npos);

  std::string stream;
  for (int i = 0; i < 8; ++i) {
    stream += R"({"id":"q)" + std::to_string(i) +
              R"(","task":"stories","prompt":"The )" + std::to_string(i) +
              R"( cats","answer":"x","reward":"exact"})" + "\n";
  }
  const auto out = (folder_ / "out.jsonl").string();
  const std::vector<std::string> replay = {
      "replay", file("stream.jsonl", stream), "--out", out, "--max-tokens", "8",
      "--json"};
  const auto summary = t2(replay).json();
  EXPECT_EQ(summary.at("answered"), 8);
  EXPECT_EQ(summary.at("cache_hits"), 8);
  EXPECT_EQ(summary.at("adaptations").at("computed"), 0);
  EXPECT_EQ(summary.at("completion_tokens"), 64);
  EXPECT_EQ(summary.at("scores").at("exact").at("count"), 8);
  const auto answers = content(out);
  const auto again = t2(replay).json();
  EXPECT_EQ(again.at("answered"), 0);
  EXPECT_EQ(again.at("answered_before"), 8);
  EXPECT_EQ(content(out), answers);

  const auto check = t2({"store", "check"});
  EXPECT_EQ(check.code, 0) << check.out;
  daemon->send(SIGTERM);
  EXPECT_EQ(daemon->wait(), 0) << daemon->err();
  EXPECT_NE(daemon->err().find("stopped"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "t2.sock"));
}

TEST_F(story, the_same_commands_work_without_a_daemon) {
  train("talk", "1");
  ASSERT_EQ(t2({"task", "add", "stories", "--examples", examples(), "--reward",
                "logprob"})
                .code,
            0);
  auto adapt = quick_search();
  adapt.insert(adapt.begin(), {"adapt", "stories", "--json"});
  const auto alone = t2(adapt);
  ASSERT_EQ(alone.code, 0) << alone.err;
  const auto asked =
      t2({"ask", "--model", "base", "--max-tokens", "12", "Once upon a time"});
  ASSERT_EQ(asked.code, 0) << asked.err;
  EXPECT_FALSE(std::filesystem::exists(folder_ / "t2.sock"));

  // The daemon finds what was done without it, and answers alike.
  const auto daemon = start_daemon();
  EXPECT_TRUE(t2(adapt).json().at("reused").get<bool>());
  EXPECT_EQ(
      t2({"ask", "--model", "base", "--max-tokens", "12", "Once upon a time"})
          .out,
      asked.out);
}

TEST_F(story, an_expert_travels_as_a_file) {
  const auto daemon = start_daemon();
  train("talk", "1");
  train("talk", "2");
  const auto history = t2({"expert", "history", "talk", "--json"}).json();
  ASSERT_EQ(history.at("data").size(), 2u);

  const auto path = (folder_ / "talk.safetensors").string();
  ASSERT_EQ(t2({"expert", "export", "talk@1", path}).code, 0);
  const auto imported = t2({"expert", "import", "copy", path, "--json"});
  ASSERT_EQ(imported.code, 0) << imported.err;
  const auto one = t2({"expert", "show", "talk@1", "--json"}).json();
  const auto two = t2({"expert", "show", "talk", "--json"}).json();
  EXPECT_EQ(two.at("version"), 2);
  EXPECT_NE(one.at("sha256"), two.at("sha256"));
  const auto copy_path = (folder_ / "copy.safetensors").string();
  ASSERT_EQ(t2({"expert", "export", "copy", copy_path}).code, 0);
  EXPECT_EQ(content(copy_path), content(path));

  EXPECT_EQ(t2({"expert", "rollback", "talk", "1"}).code, 0);
  EXPECT_EQ(t2({"expert", "show", "talk", "--json"}).json().at("version"), 1);
  EXPECT_EQ(t2({"expert", "rollback", "talk", "9"}).code, 3);
  EXPECT_EQ(t2({"expert", "rm", "copy"}).code, 0);
  EXPECT_EQ(t2({"expert", "show", "copy"}).code, 3);

  // A file that was cut, and one that is no expert.
  file("cut.safetensors", content(path).substr(0, 100));
  EXPECT_EQ(
      t2({"expert", "import", "bad", (folder_ / "cut.safetensors").string()})
          .code,
      4);
  EXPECT_EQ(
      t2({"expert", "import", "bad", file("no.safetensors", "hello")}).code, 4);
}

TEST_F(story, a_conversation_remembers_what_was_said) {
  const auto model = folder_ / "model";
  std::filesystem::copy(tests::assets() / "stories260k-hf", model);
  auto settings =
      nlohmann::json::parse(content(model / "tokenizer_config.json"));
  settings["chat_template"] =
      "{% for m in messages %}[{{ m.role }}: {{ m.content }}] {% endfor %}";
  std::ofstream(model / "tokenizer_config.json") << settings.dump();

  const std::vector<std::string> chat = {
      "chat", "--model-path", model.string(), "--model", "base", "--max-tokens",
      "8"};
  const auto talked = t2(chat, "Hello there\nAnd then?\n");
  ASSERT_EQ(talked.code, 0) << talked.err;
  const auto end = talked.out.find('\n');
  const std::string first = talked.out.substr(0, end);
  const std::string second =
      talked.out.substr(end + 1, talked.out.rfind('\n') - end - 1);
  ASSERT_FALSE(first.empty());

  // The second answer is the one to the whole conversation, asked at once.
  auto prompt =
      "[user: Hello there] [assistant: " + first + "] [user: And then?] ";
  EXPECT_EQ(t2({"ask", "--model", "base", "--max-tokens", "8", prompt}).out,
            second + "\n");
  // The plain model has no template to talk by: it goes on with the text.
  const auto written = t2({"chat", "--model", "base", "--max-tokens", "8"},
                          "Once upon\nThen he\n");
  ASSERT_EQ(written.code, 0) << written.err;
  EXPECT_NE(written.err.find("no chat template"), std::string::npos);
  const auto line = written.out.find('\n');
  EXPECT_EQ(t2({"ask", "--model", "base", "--max-tokens", "8",
                "Once upon" + written.out.substr(0, line) + "\nThen he"})
                .out,
            written.out.substr(line + 1));
  const auto refused = t2({"ask", "--chat", "--model", "base", "Hello"});
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("chat template"), std::string::npos)
      << refused.err;
}

TEST_F(story, a_store_is_copied_while_it_is_in_use) {
  const auto daemon = start_daemon();
  train("talk", "1");
  const auto copy = (folder_ / "copy.db").string();
  ASSERT_EQ(t2({"store", "backup", copy}).code, 0);
  const auto listed = t2({"expert", "list", "--json", "--store-path", copy,
                          "--server-socket", (folder_ / "none.sock").string()});
  ASSERT_EQ(listed.code, 0) << listed.err;
  EXPECT_EQ(listed.json().at("data").at(0).at("name"), "talk");
}

}  // namespace
}  // namespace t2::test
