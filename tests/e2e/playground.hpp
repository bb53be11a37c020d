#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/e2e/child_process.hpp"
#include "tests/http/temporary_folder.hpp"
#include "tests/paths.hpp"

namespace t2::test {

/// What a command of `t2` has said.
struct spoken {
  int code = 0;
  std::string out;
  std::string err;

  nlohmann::json json() const {
    auto value = nlohmann::json::parse(out, nullptr, false);
    EXPECT_FALSE(value.is_discarded()) << out << err;
    return value;
  }
};

/// A folder of its own with a model, a configuration, a store and a socket.
class playground : public testing::Test {
 protected:
  playground() {
    std::ofstream(folder_ / "t2.toml")
        << "[model]\npath = " << tests::assets() / "stories260k-hf" << "\n"
        << "svd_cache = \"" << (folder_ / "svd").string() << "\"\n"
        << "[engine]\nthreads = 1\nkv_bytes = \"64MiB\"\n"
        << "dense_bytes = \"16MiB\"\nmax_context = 512\n"
        << "[store]\npath = \"" << (folder_ / "store.db").string() << "\"\n"
        << "[server]\nsocket = \"" << (folder_ / "t2.sock").string() << "\"\n";
    environment_ = {{"HOME", folder_.path().string()},
                    {"T2_CONFIG", (folder_ / "t2.toml").string()}};
  }

  /// Runs `t2` to its end.
  spoken t2(std::vector<std::string> arguments, const std::string& input = {}) {
    const auto running = start_t2(std::move(arguments), input);
    const int code = running->wait();
    return {code, running->out(), running->err()};
  }

  std::unique_ptr<child_process> start_t2(std::vector<std::string> arguments,
                                          const std::string& input = {}) {
    arguments.insert(arguments.begin(), T2_BINARY);
    return std::make_unique<child_process>(arguments, environment_, input);
  }

  /// A daemon that is ready.
  std::unique_ptr<child_process> start_daemon(
      std::vector<std::string> arguments = {}) {
    arguments.insert(arguments.begin(), T2D_BINARY);
    auto daemon = std::make_unique<child_process>(arguments, environment_);
    EXPECT_TRUE(daemon->wait_for(" ready: ")) << daemon->err();
    return daemon;
  }

  std::string file(const std::string& name, const std::string& content) {
    std::ofstream(folder_ / name) << content;
    return (folder_ / name).string();
  }

  static std::string content(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  /// Examples of a task: openings of stories and how they go on.
  std::string examples() {
    return file(
        "examples.jsonl",
        R"({"id":"a","prompt":"Once upon a time, there was a","answer":" little girl named Lily. She said, \"Hi!\""}
{"id":"b","prompt":"One day, a boy named Tim","answer":" went to the park. He said, \"Look, a big dog!\""}
{"id":"c","prompt":"Tom and Sue were in the","answer":" yard. \"Let's play,\" said Tom."}
)");
  }

  /// Trains an expert on a few lines: real, and as small as can be.
  void train(const std::string& name, const std::string& seed) {
    const auto data = file("data.txt",
                           "\"Hello,\" said the bird.\n\n\"Yes,\" said Tom.\n\n"
                           "\"No, no,\" said Sue.\n\nThe cat said, \"Hi.\"\n");
    const auto trained = t2({"expert", "train", name, "--data", data, "--steps",
                             "3", "--batch", "2", "--max-tokens", "32",
                             "--validation", "0.25", "--validate-every", "1",
                             "--learning-rate", "0.02", "--seed", seed});
    ASSERT_EQ(trained.code, 0) << trained.err;
  }

  std::vector<std::string> quick_search() const {
    return {"--search-population", "4", "--search-iterations", "2",
            "--search-survivors",  "1"};
  }

  temporary_folder folder_;
  child_process::variables environment_;
};

}  // namespace t2::test
