#include "http/unix_socket.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "tests/http/temporary_folder.hpp"

namespace t2 {
namespace {

using test::temporary_folder;

TEST(unix_listener, is_for_its_owner_alone) {
  const temporary_folder folder;
  const auto socket = folder / "s";
  const auto listener = unix_listener::bind(socket);
  ASSERT_TRUE(listener);
  struct stat found {};
  ASSERT_EQ(::stat(socket.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777u, 0600u);
}

TEST(unix_listener, a_client_trusts_no_other_users_server) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be somebody else";
  const temporary_folder folder;
  const auto socket = folder / "s";
  ASSERT_EQ(::chmod(folder.path().c_str(), 0777), 0);
  int told[2];
  ASSERT_EQ(::pipe(told), 0);
  const pid_t other = ::fork();
  if (other == 0) {
    if (::setuid(65534) != 0) ::_exit(1);
    const auto listener = unix_listener::bind(socket);
    if (!listener || ::write(told[1], "x", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  ::close(told[1]);
  char ready = 0;
  EXPECT_EQ(::read(told[0], &ready, 1), 1);
  const auto peer = connect_unix_socket(socket);
  ASSERT_FALSE(peer);
  EXPECT_NE(peer.error().message.find("user 65534"), std::string::npos)
      << peer.error().message;
  ::kill(other, SIGKILL);
  ::waitpid(other, nullptr, 0);
  ::close(told[0]);
}

TEST(unix_listener, removes_its_file) {
  const temporary_folder folder;
  { ASSERT_TRUE(unix_listener::bind(folder / "s")); }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(unix_listener, replaces_the_socket_of_a_server_that_is_gone) {
  const temporary_folder folder;
  const auto socket = folder / "s";
  auto gone = unix_listener::bind(socket);
  ASSERT_TRUE(gone);
  ::close(gone->release_descriptor());  // as after kill -9: the file stays
  ASSERT_EQ(connect_unix_socket(socket).error().code, ec::unavailable);

  auto next = unix_listener::bind(socket);
  ASSERT_TRUE(next) << next.error().message;
  const auto peer = connect_unix_socket(socket);
  ASSERT_TRUE(peer);
  ::close(*peer);
  // The first one's end does not take the second one's file away.
  *gone = unix_listener(std::move(*gone));
  EXPECT_TRUE(std::filesystem::exists(socket));
}

TEST(unix_listener, leaves_another_ones_file_in_its_end) {
  const temporary_folder folder;
  const auto socket = folder / "s";
  std::optional<unix_listener> first, second;
  if (auto made = unix_listener::bind(socket)) first = *std::move(made);
  ASSERT_TRUE(first);
  ::close(first->release_descriptor());
  if (auto made = unix_listener::bind(socket)) second = *std::move(made);
  ASSERT_TRUE(second);
  first.reset();
  EXPECT_TRUE(std::filesystem::exists(socket));
}

TEST(unix_listener, refuses_while_another_listens) {
  const temporary_folder folder;
  const auto first = unix_listener::bind(folder / "s");
  ASSERT_TRUE(first);
  const auto second = unix_listener::bind(folder / "s");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ec::busy);
  const auto peer = connect_unix_socket(folder / "s");
  EXPECT_TRUE(peer);
  if (peer) ::close(*peer);
}

TEST(unix_listener, never_replaces_a_file_that_is_no_socket) {
  const temporary_folder folder;
  std::ofstream(folder / "precious") << "data";
  const auto listener = unix_listener::bind(folder / "precious");
  ASSERT_FALSE(listener);
  EXPECT_EQ(listener.error().code, ec::already_exists);
  EXPECT_EQ(std::filesystem::file_size(folder / "precious"), 4u);
}

TEST(unix_listener, refuses_a_path_that_is_too_long) {
  const temporary_folder folder;
  const auto listener = unix_listener::bind(folder / std::string(120, 'x'));
  ASSERT_FALSE(listener);
  EXPECT_EQ(listener.error().code, ec::invalid_argument);
}

TEST(connect_unix_socket, says_that_there_is_no_file) {
  const temporary_folder folder;
  EXPECT_EQ(connect_unix_socket(folder / "s").error().code, ec::not_found);
}

}  // namespace
}  // namespace t2
