// Formats are promises: what release 0.1 wrote is read by this build.
#include <fcntl.h>
#include <sys/stat.h>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <map>

#include "tests/e2e/playground.hpp"

namespace t2::test {
namespace {

namespace fs = std::filesystem;

class written_by_0_1 : public playground {
 protected:
  written_by_0_1() {
    fs::copy(assets_, files_, fs::copy_options::recursive);
    fs::copy(tests::assets() / "pretrained-tiny", folder_ / "model");
    std::ofstream(folder_ / "t2.toml")
        << "[model]\npath = \"model\"\ndtype = \"float32\"\n"
        << "svd_cache = \"files/svd\"\n"
        << "[engine]\nthreads = 1\nmax_context = 96\n"
        << "[store]\npath = \"files/store.db\"\n"
        << "[server]\nsocket = \"t2.sock\"\n";
    const auto config = content(folder_ / "t2.toml");
    std::string absolute = config;
    for (const std::string name : {"model", "files/svd", "files/store.db",
                                   "t2.sock"}) {
      const std::string relative = "\"" + name + "\"";
      absolute.replace(absolute.find(relative), relative.size(),
                       "\"" + (folder_ / name).string() + "\"");
    }
    std::ofstream(folder_ / "t2.toml") << absolute;
  }

  nlohmann::json expected(const std::string& name) const {
    return nlohmann::json::parse(content(files_ / "expected" / (name + ".json")));
  }

  /// All that was said then is said now; more may be.
  static void expect_holds(const nlohmann::json& then,
                           const nlohmann::json& now,
                           const std::string& where) {
    if (then.is_object()) {
      ASSERT_TRUE(now.is_object()) << where;
      for (const auto& [name, value] : then.items()) {
        ASSERT_TRUE(now.contains(name)) << where << "." << name;
        expect_holds(value, now.at(name), where + "." + name);
      }
    } else if (then.is_array()) {
      ASSERT_TRUE(now.is_array() && now.size() == then.size()) << where;
      for (std::size_t i = 0; i < then.size(); ++i)
        expect_holds(then[i], now[i], where + "[" + std::to_string(i) + "]");
    } else {
      EXPECT_EQ(then, now) << where;
    }
  }

  void expect_as_then(const std::string& name, std::vector<std::string> command) {
    command.push_back("--json");
    const auto said = t2(command);
    ASSERT_EQ(said.code, 0) << said.err;
    expect_holds(expected(name), said.json(), name);
  }

  /// The answer and its route; not the clock, nor sums of floats.
  void expect_answer_as_then(const std::string& name,
                             std::vector<std::string> command) {
    command.push_back("--json");
    const auto said = t2(command);
    ASSERT_EQ(said.code, 0) << said.err;
    const auto then = expected(name), now = said.json();
    EXPECT_EQ(now.at("choices").at(0).at("text"),
              then.at("choices").at(0).at("text"));
    EXPECT_EQ(now.at("usage"), then.at("usage"));
    for (const char* what : {"strategy", "task", "adaptation", "mixture"})
      EXPECT_EQ(now.at("t2").at(what), then.at("t2").at(what)) << what;
  }

  static std::vector<std::string> search(std::vector<std::string> command) {
    for (const char* flag :
         {"--search-population", "4", "--search-iterations", "2",
          "--search-survivors", "1"})
      command.push_back(flag);
    return command;
  }

  /// The floats of a safetensors file, in the order of the file.
  static std::vector<float> floats(const fs::path& file) {
    const std::string bytes = content(file);
    std::uint64_t header = 0;
    std::memcpy(&header, bytes.data(), 8);
    std::vector<float> values((bytes.size() - 8 - header) / 4);
    std::memcpy(values.data(), bytes.data() + 8 + header, values.size() * 4);
    return values;
  }

  static void expect_near(const fs::path& a, const fs::path& b) {
    const auto x = floats(a), y = floats(b);
    ASSERT_EQ(x.size(), y.size());
    ASSERT_FALSE(x.empty());
    // Other processors add in another order.
    for (std::size_t i = 0; i < x.size(); ++i)
      ASSERT_NEAR(x[i], y[i], 2e-3) << i;
  }

  std::vector<std::string> train(const std::string& name) const {
    return {"expert", "train", name, "--data",
            (files_ / "inputs/lines.jsonl").string(), "--raw", "--targets",
            "attention", "--steps", "60", "--batch", "2", "--validation",
            "0.2", "--validate-every", "20", "--learning-rate", "0.02",
            "--seed", "1"};
  }

  const fs::path assets_ = tests::assets() / "written-by-0.1";
  const fs::path files_ = folder_ / "files";
};

TEST_F(written_by_0_1, a_store_opens_and_says_the_same) {
  expect_as_then("task-sums", {"task", "show", "sums"});
  expect_as_then("task-talks", {"task", "show", "talks"});
  expect_as_then("experts", {"expert", "list"});
  expect_as_then("history-talk", {"expert", "history", "talk"});
  expect_as_then("talk-1", {"expert", "show", "talk@1"});
  const auto check = t2({"store", "check"});
  EXPECT_EQ(check.code, 0) << check.out << check.err;
}

TEST_F(written_by_0_1, an_adaptation_is_found_under_its_key) {
  expect_as_then("adapt-sums", search({"adapt", "sums"}));
  auto talks = search({"adapt", "talks"});
  talks.insert(talks.end(), {"--experts", "talk@1,song"});
  expect_as_then("adapt-talks", talks);
  EXPECT_TRUE(expected("adapt-sums").at("reused").get<bool>());
}

TEST_F(written_by_0_1, tasks_and_experts_answer_as_they_did) {
  // A task of then is asked as it was then, without a word about it.
  expect_answer_as_then(
      "ask-sums", {"ask", "--task", "sums", "--max-tokens", "12", "2 + 2"});
  const auto talks = t2({"ask", "--task", "talks", "--max-tokens", "4",
                         "--json", "What is 1 + 1?"});
  ASSERT_EQ(talks.code, 0) << talks.err;
  EXPECT_EQ(talks.json().at("object"), "chat.completion");
  EXPECT_EQ(t2({"task", "show", "sums", "--json"}).json().at("form"), "raw");
  expect_answer_as_then("ask-talk-1", {"ask", "--raw", "--model", "expert:talk@1",
                                "--max-tokens", "12", "2 + 2"});
}

TEST_F(written_by_0_1, an_svd_cache_counts) {
  const auto snapshot = [&] {
    std::map<std::string, std::pair<std::string, fs::file_time_type>> files;
    for (const auto& one : fs::recursive_directory_iterator(files_ / "svd"))
      if (one.is_regular_file() && one.path().filename() != ".lock" &&
          one.path().string().find(".weight.") != std::string::npos)
        files[one.path().string()] = {content(one.path()),
                                      one.last_write_time()};
    return files;
  };
  const auto before = snapshot();
  ASSERT_FALSE(before.empty());
  const auto done = t2({"model", "svd", "--targets", "attention"});
  ASSERT_EQ(done.code, 0) << done.err;
  EXPECT_EQ(snapshot(), before);
}

// Size and time were all that an entry knew of the weights then.
TEST_F(written_by_0_1, a_remembered_fingerprint_is_not_believed_blindly) {
  const auto file = files_ / "svd/fingerprints.json";
  std::string text = content(file);
  const std::string mark = "@MODEL@";
  ASSERT_NE(text.find(mark), std::string::npos);
  text.replace(text.find(mark), mark.size(), (folder_ / "model").string());
  // The entry is of a file of this size and time; the weights are others.
  const auto weights = folder_ / "model/model.safetensors";
  std::string bytes = content(weights);
  bytes[bytes.size() - 100] ^= 1;
  std::ofstream(weights, std::ios::binary) << bytes;
  const auto then = nlohmann::json::parse(text);
  const auto& entry = then.at("entries").begin().value();
  const std::chrono::nanoseconds time(
      entry.at("state").at("files").at(0).at("mtime_ns").get<std::int64_t>());
  const timespec when[2] = {
      {time.count() / 1'000'000'000, time.count() % 1'000'000'000},
      {time.count() / 1'000'000'000, time.count() % 1'000'000'000}};
  ASSERT_EQ(::utimensat(AT_FDCWD, weights.c_str(), when, 0), 0);
  std::ofstream(file) << text;
  const auto daemon = start_daemon();
  const auto task = t2({"task", "show", "sums", "--json"}).json();
  EXPECT_EQ(task.at("base"), entry.at("fingerprint"));
  const auto asked = t2({"ask", "--raw", "--model", "expert:talk",
                         "--max-tokens", "2", "2 + 2"});
  EXPECT_EQ(asked.code, 4) << "the expert is another base's";
  const auto now = nlohmann::json::parse(content(file));
  EXPECT_NE(now.at("entries").begin().value().at("fingerprint"),
            entry.at("fingerprint"));
}

TEST_F(written_by_0_1, an_expert_file_is_imported) {
  const auto imported = t2({"expert", "import", "copy",
                            (files_ / "talk.safetensors").string(), "--json"});
  ASSERT_EQ(imported.code, 0) << imported.err;
  EXPECT_EQ(imported.json().at("sha256"), expected("talk-1").at("sha256"));
}

TEST_F(written_by_0_1, a_training_goes_on_from_its_checkpoint) {
  auto command = train("again");
  const auto curves = (folder_ / "curves.jsonl").string();
  command.insert(command.end(), {"--checkpoint",
                                 (files_ / "training.checkpoint").string(),
                                 "--curves", curves});
  const auto trained = t2(command);
  ASSERT_EQ(trained.code, 0) << trained.err;
  const auto first = content(curves).substr(0, content(curves).find('\n'));
  EXPECT_GT(nlohmann::json::parse(first).at("step"), 1);
  const auto file = (folder_ / "again.safetensors").string();
  ASSERT_EQ(t2({"expert", "export", "again", file}).code, 0);
  expect_near(file, files_ / "talk.safetensors");
}

TEST_F(written_by_0_1, a_pretraining_goes_on_from_its_checkpoint) {
  const auto command = [&](const std::string& out) -> std::vector<std::string> {
    return {"pretrain", "--data", (files_ / "inputs/corpus.jsonl").string(),
            "--out", (folder_ / out).string(), "--vocabulary", "270",
            "--hidden", "16", "--layers", "1", "--heads", "2", "--kv-heads",
            "1", "--intermediate", "16", "--max-length", "256", "--longer",
            "cut", "--steps", "60", "--batch", "256", "--validate-every",
            "30", "--compute", "float32", "--threads", "1", "--seed", "7"};
  };
  auto whole = command("whole");
  ASSERT_EQ(t2(whole).code, 0);
  auto parts = command("parts");
  parts.insert(parts.end(), {"--checkpoint",
                             (files_ / "pretraining.checkpoint").string(),
                             "--checkpoint-every", "2"});
  const auto resumed = t2(parts);
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_NE(resumed.err.find("goes on from step"), std::string::npos)
      << resumed.err;
  expect_near(folder_ / "parts/model.safetensors",
              folder_ / "whole/model.safetensors");
}

}  // namespace
}  // namespace t2::test
