// Raw and chat, as processes, on a model that has a chat template.
#include "tests/e2e/playground.hpp"

namespace t2::test {
namespace {

class forms : public playground {
 protected:
  forms() {
    environment_["T2_MODEL_PATH"] =
        (tests::assets() / "pretrained-tiny").string();
    environment_["T2_ENGINE_MAX_CONTEXT"] = "96";
  }

  spoken ask(std::vector<std::string> more) {
    std::vector<std::string> all = {"ask", "--max-tokens", "6"};
    all.insert(all.end(), more.begin(), more.end());
    return t2(all);
  }

  std::string sums() {
    return file("sums.jsonl",
                R"({"id":"a","prompt":"What is 14 + 5?","answer":"19"}
{"id":"b","prompt":"What is 33 + 6?","answer":"39"}
)");
  }

  // What the template of this model makes of it.
  static std::string rendered(const std::string& words) {
    return "<|user|>\n" + words + "<|end|>\n<|assistant|>\n";
  }
};

TEST_F(forms, ask_puts_a_question_into_the_template_unless_it_is_raw) {
  const auto daemon = start_daemon();
  const std::string question = "What is 40 + 9?";
  const auto plain = ask({"--model", "base", "--json", question});
  ASSERT_EQ(plain.code, 0) << plain.err;
  EXPECT_EQ(plain.json().at("object"), "chat.completion");
  // The same tokens, written out by hand.
  const auto by_hand = ask({"--model", "base", "--raw", "--json",
                            rendered(question)});
  ASSERT_EQ(by_hand.code, 0) << by_hand.err;
  EXPECT_EQ(by_hand.json().at("object"), "text_completion");
  EXPECT_EQ(by_hand.json().at("usage").at("prompt_tokens"),
            plain.json().at("usage").at("prompt_tokens"));
  EXPECT_EQ(by_hand.json().at("choices").at(0).at("text"),
            plain.json().at("choices").at(0).at("message").at("content"));
  const auto raw = ask({"--model", "base", "--raw", "--json", question});
  EXPECT_LT(raw.json().at("usage").at("prompt_tokens"),
            plain.json().at("usage").at("prompt_tokens"));
  // What was written before chat was what is done.
  EXPECT_EQ(ask({"--model", "base", "--chat", question}).out,
            ask({"--model", "base", question}).out);
  EXPECT_EQ(ask({"--raw", "--chat", question}).code, 2);
  EXPECT_EQ(ask({"--raw", "--system", "Be brief.", question}).code, 2);
}

TEST_F(forms, a_task_is_asked_in_its_own) {
  const auto daemon = start_daemon();
  for (const auto& [name, flag] :
       {std::pair<std::string, std::string>{"chats", ""},
        std::pair<std::string, std::string>{"raws", "--raw"}}) {
    std::vector<std::string> add = {"task", "add", name, "--examples", sums(),
                                    "--reward", "exact", "--json"};
    if (!flag.empty()) add.push_back(flag);
    const auto added = t2(add);
    ASSERT_EQ(added.code, 0) << added.err;
    const std::string form = name == "chats" ? "chat" : "raw";
    EXPECT_EQ(added.json().at("form"), form);
    EXPECT_EQ(t2({"task", "show", name, "--json"}).json().at("form"), form);
    EXPECT_NE(t2({"task", "show", name}).out.find("asked " + form),
              std::string::npos);
    const auto asked = ask({"--task", name, "--json", "What is 1 + 2?"});
    ASSERT_EQ(asked.code, 0) << asked.err;
    EXPECT_EQ(asked.json().at("object"), form == "chat" ? "chat.completion"
                                                        : "text_completion");
    EXPECT_EQ(asked.json().at("t2").at("form"), form);
    EXPECT_EQ(asked.err.find("though task"), std::string::npos) << asked.err;
  }
  const auto otherwise = ask({"--task", "chats", "--raw", "What is 1 + 2?"});
  ASSERT_EQ(otherwise.code, 0);
  EXPECT_NE(otherwise.err.find("asked raw, though task chats is chat"),
            std::string::npos)
      << otherwise.err;
  // Comparisons ask all alike.
  const auto mixed = t2({"eval", sums(), "--model", "chats,raws"});
  EXPECT_EQ(mixed.code, 2);
  EXPECT_NE(mixed.err.find("chats (chat) and raws (raw)"), std::string::npos)
      << mixed.err;
}

TEST_F(forms, the_beginning_of_a_program_stays_raw) {
  const auto daemon = start_daemon();
  const auto programs = file(
      "programs.jsonl",
      R"({"id":"p","prompt":"def one():\n","answer":"    return 1\n","entry_point":"one","tests":"assert one() == 1"})"
      "\n");
  const auto added = t2({"task", "add", "programs", "--examples", programs,
                         "--reward", "logprob", "--json"});
  ASSERT_EQ(added.code, 0) << added.err;
  EXPECT_EQ(added.json().at("form"), "raw");
}

TEST_F(forms, replay_asks_as_a_task_or_the_template_says) {
  const auto daemon = start_daemon();
  ASSERT_EQ(t2({"task", "add", "raws", "--raw", "--examples", sums(),
                "--reward", "exact"})
                .code,
            0);
  const auto lines = file("lines.jsonl",
                          R"({"id":"free","prompt":"What is 1 + 2?"}
{"id":"task","task":"raws","prompt":"What is 1 + 2?"}
{"id":"talk","messages":[{"role":"user","content":"What is 1 + 2?"}]}
)");
  const auto tokens = [&](const std::string& name,
                          std::vector<std::string> more) {
    const auto out = (folder_ / name).string();
    std::vector<std::string> all = {"replay", lines, "--out", out,
                                    "--max-tokens", "4"};
    all.insert(all.end(), more.begin(), more.end());
    const auto done = t2(all);
    EXPECT_EQ(done.code, 0) << done.err;
    std::map<std::string, int> by_id;
    std::ifstream in(out);
    for (std::string line; std::getline(in, line);) {
      const auto form = nlohmann::json::parse(line);
      by_id[form.at("id")] = form.at("prompt_tokens");
    }
    return by_id;
  };
  auto usual = tokens("usual.jsonl", {});
  EXPECT_EQ(usual["free"], usual["talk"]);
  EXPECT_LT(usual["task"], usual["talk"]);
  auto raw = tokens("raw.jsonl", {"--raw"});
  EXPECT_EQ(raw["free"], usual["task"]);
  EXPECT_EQ(raw["talk"], usual["talk"]);
}

TEST_F(forms, an_expert_records_that_it_learnt_in_the_template) {
  const auto daemon = start_daemon();
  const auto options = [&](const std::string& name,
                           std::vector<std::string> more) {
    std::vector<std::string> all = {
        "expert", "train", name, "--data", sums(), "--steps", "2", "--batch",
        "2", "--validation", "0", "--targets", "attention", "--json"};
    all.insert(all.end(), more.begin(), more.end());
    const auto trained = t2(all);
    EXPECT_EQ(trained.code, 0) << trained.err;
    return trained.json().at("provenance").at("options");
  };
  EXPECT_EQ(options("usual", {}).value("form", ""), "chat");
  EXPECT_FALSE(options("raw", {"--raw"}).contains("form"));
}

TEST_F(forms, an_empty_answer_says_so) {
  const auto daemon = start_daemon();
  // A stop text that every answer begins with: the first that the model writes.
  const auto first = ask({"--model", "base", "What is 40 + 9?"});
  ASSERT_EQ(first.code, 0) << first.err;
  ASSERT_EQ(first.err.find("empty"), std::string::npos) << first.err;
  const std::string opening = first.out.substr(0, 1);
  for (const bool json : {false, true}) {
    std::vector<std::string> again = {"--model", "base", "--stop", opening,
                                      "What is 40 + 9?"};
    if (json) again.push_back("--json");
    const auto empty = ask(again);
    EXPECT_EQ(empty.code, 0);
    EXPECT_NE(empty.err.find("the answer is empty"), std::string::npos)
        << empty.err;
    EXPECT_NE(empty.err.find("--raw"), std::string::npos) << empty.err;
    if (!json) {
      EXPECT_EQ(empty.out, "");
    }
  }
}

}  // namespace
}  // namespace t2::test
