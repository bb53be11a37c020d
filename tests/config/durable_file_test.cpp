#include "config/durable_file.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <set>
#include <string>
#include <thread>

namespace t2 {
namespace {

namespace fs = std::filesystem;

class durable_file : public testing::Test {
 protected:
  durable_file() {
    std::string name = (fs::temp_directory_path() / "t2-file-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~durable_file() override { fs::remove_all(folder_); }

  std::set<std::string> names() const {
    std::set<std::string> found;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      found.insert(entry.path().filename().string());
    }
    return found;
  }

  fs::path folder_;
};

TEST_F(durable_file, reads_back_what_was_written_and_leaves_nothing_beside) {
  const auto path = folder_ / "state";
  for (const std::size_t size : {0u, 1u, 4095u, 4096u, 4097u, 300'000u}) {
    std::string content(size, 'x');
    for (std::size_t i = 0; i < size; ++i) {
      content[i] = static_cast<char>(i * 31 % 251);
    }
    ASSERT_TRUE(write_file_durably(path, content));
    const auto back = read_file(path, size);
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(*back, content);
  }
  EXPECT_EQ(names(), std::set<std::string>{"state"});
}

TEST_F(durable_file, refuses_more_than_the_caller_can_hold) {
  const auto path = folder_ / "state";
  ASSERT_TRUE(write_file_durably(path, "12345"));
  const auto back = read_file(path, 4);
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().code, ec::exhausted);
  EXPECT_NE(back.error().message.find(path.string()), std::string::npos);
}

TEST_F(durable_file, says_what_is_missing_or_of_the_wrong_kind) {
  EXPECT_EQ(read_file(folder_ / "none", 9).error().code, ec::not_found);
  EXPECT_EQ(read_file(folder_, 9).error().code, ec::io);
  const auto pipe = folder_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(read_file(pipe, 9).error().code, ec::io);
  EXPECT_EQ(write_file_durably(folder_ / "no" / "file", "x").error().code,
            ec::not_found);
  EXPECT_EQ(write_file_durably(folder_ / "", "x").error().code,
            ec::invalid_argument);
}

TEST_F(durable_file, keeps_the_old_content_when_the_new_does_not_fit) {
  const auto path = folder_ / "state";
  ASSERT_TRUE(write_file_durably(path, "old"));
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    // A limit on file sizes stands in for a full disk.
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1000, 1000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const auto written = write_file_durably(path, std::string(5000, 'n'));
    ::_exit(!written && written.error().code == ec::io ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_EQ(*read_file(path, 100), "old");
  EXPECT_EQ(names(), std::set<std::string>{"state"});
}

TEST_F(durable_file, shows_readers_one_whole_content_or_another) {
  const auto path = folder_ / "state";
  ASSERT_TRUE(write_file_durably(path, std::string(20'000, 'a')));
  std::thread writer([&] {
    for (int i = 0; i < 40; ++i) {
      const char letter = static_cast<char>('a' + i % 26);
      EXPECT_TRUE(write_file_durably(path, std::string(20'000, letter)));
    }
  });
  for (int i = 0; i < 2000; ++i) {
    const auto seen = read_file(path, 1 << 20);
    ASSERT_TRUE(seen);
    ASSERT_EQ(*seen, std::string(20'000, seen->front()));
  }
  writer.join();
}

TEST_F(durable_file, survives_a_kill_between_any_two_calls) {
  const auto path = folder_ / "state";
  ASSERT_TRUE(write_file_durably(path, "0"));
  for (int round = 0; round < 20; ++round) {
    int acks[2];
    ASSERT_EQ(::pipe(acks), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      for (int i = round * 1000;; ++i) {
        if (!write_file_durably(path, std::to_string(i))) ::_exit(1);
        if (::write(acks[1], &i, sizeof i) != sizeof i) ::_exit(2);
      }
    }
    ::close(acks[1]);
    int last = 0;
    for (int seen = 0; seen <= round % 7; ++seen) {
      ASSERT_EQ(::read(acks[0], &last, sizeof last), ssize_t{sizeof last});
    }
    ::kill(child, SIGKILL);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    int later = 0;
    while (::read(acks[0], &later, sizeof later) == ssize_t{sizeof later}) {
      last = later;
    }
    ::close(acks[0]);
    const auto content = read_file(path, 100);
    ASSERT_TRUE(content);
    // The call that the kill met may have taken effect unacknowledged.
    EXPECT_TRUE(*content == std::to_string(last) ||
                *content == std::to_string(last + 1))
        << *content << " after an acknowledged " << last;
  }
}

}  // namespace
}  // namespace t2
