#include "config/sha256.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace t2 {
namespace {

std::string hex_of(std::string_view message, sha256::path which) {
  sha256 hash(which);
  hash.update(message);
  return hash.hex();
}

struct known_digest {
  std::string message;
  std::string hex;
};

// NIST's examples for SHA-256 (FIPS 180-4 and its additional test vectors).
std::vector<known_digest> nist_vectors() {
  return {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc",
       "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
       "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
       "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
      {std::string(1'000'000, 'a'),
       "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
      {std::string("\xbd", 1),
       "68325720aabd7c82f30f554b313d0570c95accbb7dc4b5aae11204c08ffe732b"},
      {std::string("\xc9\x8c\x8e\x55", 4),
       "7abc22c0ae5af26ce93dbb94433a0e0b2e119d014f8e7f65bd56c61ccccd9504"},
      {std::string(55, '\0'),
       "02779466cdec163811d078815c633f21901413081449002f24aa3e80f0b88ef7"},
      {std::string(56, '\0'),
       "d4817aa5497628e7c77e6b606107042bbba3130888c5f47a375e6179be789fbb"},
      {std::string(57, '\0'),
       "65a16cb7861335d5ace3c60718b5052e44660726da4cd13bb745381b235a1785"},
      {std::string(64, '\0'),
       "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b"},
      {std::string(1000, '\0'),
       "541b3e9daa09b20bf85fa273e5cbd3e80185aa4ec298e765db87742b70138a53"},
      {std::string(1000, 'A'),
       "c2e686823489ced2017f6059b8b239318b6364f6dcd835d0a519105a1eadd6e4"},
      {std::string(1005, 'U'),
       "f4d62ddec0f3dd90ea1380fa16a5ff8dc4c54b21740650f24afc4120903552b0"},
  };
}

TEST(sha256, gives_the_digests_that_nist_published) {
  for (const auto& known : nist_vectors()) {
    EXPECT_EQ(hex_of(known.message, sha256::path::automatic), known.hex);
    EXPECT_EQ(hex_of(known.message, sha256::path::portable), known.hex);
    EXPECT_EQ(sha256_hex(known.message), known.hex);
  }
}

TEST(sha256, does_not_depend_on_how_the_message_is_cut) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    std::string message(random() % 400, '\0');
    for (char& c : message) c = static_cast<char>(random() % 256);
    sha256 pieces;
    for (std::size_t at = 0; at < message.size();) {
      const auto length =
          std::min<std::size_t>(random() % 130, message.size() - at);
      pieces.update(std::string_view(message).substr(at, length));
      at += length;
      EXPECT_EQ(pieces.hex(), hex_of(std::string_view(message).substr(0, at),
                                     sha256::path::portable));
    }
  }
}

}  // namespace
}  // namespace t2
