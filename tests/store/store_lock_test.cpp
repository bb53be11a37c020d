#include "store/store_lock.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "tests/store/store_folder.hpp"

namespace t2 {
namespace {

using kind = store_lock::kind;

// Runs `body` in a child process and returns its exit status.
int in_child(const auto& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(store_lock, tells_a_second_process_who_has_the_store_and_where) {
  store_folder folder;
  const auto store = must(
      expert_store::open(folder.path(), {.socket_path = "/run/t2/t2d.sock"}));
  const int status = in_child([&] {
    const auto second = expert_store::open(folder.path());
    if (second || second.error().code != ec::busy) return 1;
    const auto& said = second.error().message;
    const auto pid = "process " + std::to_string(::getppid());
    if (said.find(pid) == said.npos) return 2;
    if (said.find("/run/t2/t2d.sock") == said.npos) return 3;
    const auto holder = store_lock::holder(folder.path());
    if (!holder || holder->pid != ::getppid()) return 4;
    return holder->socket_path == "/run/t2/t2d.sock" ? 0 : 5;
  });
  EXPECT_EQ(status, 0);
}

TEST(store_lock, is_free_once_its_holder_was_killed) {
  store_folder folder;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto lock = store_lock::acquire(folder.path(), kind::exclusive);
    const char held = lock ? 'y' : 'n';
    if (::write(ready[1], &held, 1) == 1) ::pause();
    ::_exit(1);
  }
  char held = 0;
  ASSERT_EQ(::read(ready[0], &held, 1), 1);
  ASSERT_EQ(held, 'y');
  EXPECT_EQ(store_lock::holder(folder.path())->pid, child);
  EXPECT_EQ(code_of(store_lock::acquire(folder.path(), kind::exclusive)),
            ec::busy);
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_FALSE(store_lock::holder(folder.path()));
  EXPECT_TRUE(store_lock::acquire(folder.path(), kind::exclusive));
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST(store_lock, excludes_a_second_one_in_its_own_process_too) {
  store_folder folder;
  {
    const auto first =
        must(store_lock::acquire(folder.path(), kind::exclusive));
    EXPECT_EQ(code_of(store_lock::acquire(folder.path(), kind::exclusive)),
              ec::busy);
    EXPECT_EQ(code_of(store_lock::acquire(folder.path(), kind::shared)),
              ec::busy);
  }
  const auto reader = must(store_lock::acquire(folder.path(), kind::shared));
  EXPECT_TRUE(store_lock::acquire(folder.path(), kind::shared));
  EXPECT_EQ(code_of(store_lock::acquire(folder.path(), kind::exclusive)),
            ec::busy);
  EXPECT_FALSE(store_lock::holder(folder.path()));
}

TEST(store_lock, is_one_for_all_names_of_a_store) {
  store_folder folder;
  const auto store = must(expert_store::open(folder.path()));
  const auto alias = folder.folder() / "alias.db";
  std::filesystem::create_symlink(folder.path(), alias);
  EXPECT_EQ(code_of(expert_store::open(alias)), ec::busy);
  EXPECT_TRUE(store_lock::holder(alias));
}

}  // namespace
}  // namespace t2
