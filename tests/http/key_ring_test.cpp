#include "http/key_ring.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/http/temporary_folder.hpp"

namespace t2 {
namespace {

constexpr const char* two_keys =
    "# who  what  with\n"
    "alice administer alice-0123456789\n"
    "\n"
    "\tbob use bob-0123456789ab   # until May\r\n";

TEST(key_ring, knows_its_keys_and_no_others) {
  const auto ring = key_ring::parse(two_keys, "keys");
  ASSERT_TRUE(ring) << ring.error().message;
  EXPECT_EQ(ring->size(), 2u);
  const auto alice = ring->find("alice-0123456789");
  ASSERT_TRUE(alice);
  EXPECT_EQ(alice->name, "alice");
  EXPECT_EQ(alice->scope, http_scope::administer);
  const auto bob = ring->find("bob-0123456789ab");
  ASSERT_TRUE(bob);
  EXPECT_EQ(bob->scope, http_scope::use);
  for (const char* other : {"", "alice", "alice-012345678", "Alice-0123456789",
                            "alice-0123456789 ", "#"}) {
    EXPECT_FALSE(ring->find(other)) << other;
  }
}

TEST(key_ring, names_the_line_that_is_wrong_but_not_the_key) {
  const auto says = [](const std::string& text, const std::string& words) {
    const auto ring = key_ring::parse(text, "keys");
    ASSERT_FALSE(ring) << text;
    EXPECT_EQ(ring.error().code, ec::invalid_argument);
    EXPECT_NE(ring.error().message.find(words), std::string::npos)
        << ring.error().message;
    EXPECT_EQ(ring.error().message.find("secret"), std::string::npos);
  };
  says("", "found none");
  says("# nobody\n", "found none");
  says("a use\n", "keys:1: expected a name, a scope and a key");
  says("\na use secret-secret-secret more\n", "keys:2: ");
  says("a root secret-secret-secret\n", "use, metrics or administer");
  says("socket use secret-secret-secret\n", "another name than 'socket'");
  says("loopback use secret-secret-secret\n", "callers without a key");
  says("a\"b use secret-secret-secret\n", "without quotes");
  says(std::string(65, 'a') + " use secret-secret-secret\n", "64");
  says("a use secret\n", "at least 16");
  says("a use secret-secret-\xc3\xa9\xc3\xa9\n", "ASCII");
  says("a use secret-secret-secret1\na use secret-secret-secret2\n",
       "keys:2: expected another name than 'a'");
  says("a use secret-secret-secret\nb use secret-secret-secret\n",
       "keys:2: expected another key than that of 'a'");
}

TEST(key_ring, refuses_a_file_that_others_may_read) {
  const test::temporary_folder folder;
  const auto file = folder / "keys";
  std::ofstream(file) << two_keys;
  using std::filesystem::perms;
  for (const perms open : {perms::group_read, perms::others_read,
                           perms::group_write, perms::others_exec}) {
    std::filesystem::permissions(
        file, perms::owner_read | perms::owner_write | open);
    const auto ring = key_ring::read(file);
    ASSERT_FALSE(ring);
    EXPECT_EQ(ring.error().code, ec::invalid_argument);
    EXPECT_NE(ring.error().message.find("mode 600"), std::string::npos);
    EXPECT_EQ(ring.error().message.find('\n'), std::string::npos);
  }
  std::filesystem::permissions(file, perms::owner_read);
  EXPECT_TRUE(key_ring::read(file));
  EXPECT_EQ(key_ring::read(folder / "none").error().code, ec::not_found);
}

}  // namespace
}  // namespace t2
