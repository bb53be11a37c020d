#include "config/sha256.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace t2 {
namespace {

constexpr std::size_t block_size = 64;

// The first 32 bits of the fractional parts of the cube roots of the first 64
// primes (FIPS 180-4, 4.2.2).
alignas(16) constexpr std::array<std::uint32_t, 64> round_constants = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
    0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
    0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
    0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
    0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
    0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

std::uint32_t big_endian_word(const std::byte* at) {
  return std::to_integer<std::uint32_t>(at[0]) << 24 |
         std::to_integer<std::uint32_t>(at[1]) << 16 |
         std::to_integer<std::uint32_t>(at[2]) << 8 |
         std::to_integer<std::uint32_t>(at[3]);
}

void compress_portable(std::uint32_t* state, const std::byte* blocks,
                       std::size_t count) {
  using std::rotr;
  for (; count > 0; --count, blocks += block_size) {
    std::array<std::uint32_t, 64> w;
    for (std::size_t t = 0; t < 16; ++t) w[t] = big_endian_word(blocks + 4 * t);
    for (std::size_t t = 16; t < 64; ++t) {
      const auto s0 =
          rotr(w[t - 15], 7) ^ rotr(w[t - 15], 18) ^ (w[t - 15] >> 3);
      const auto s1 =
          rotr(w[t - 2], 17) ^ rotr(w[t - 2], 19) ^ (w[t - 2] >> 10);
      w[t] = w[t - 16] + s0 + w[t - 7] + s1;
    }
    std::array<std::uint32_t, 8> v;
    std::copy_n(state, 8, v.begin());
    for (std::size_t t = 0; t < 64; ++t) {
      const auto big1 = rotr(v[4], 6) ^ rotr(v[4], 11) ^ rotr(v[4], 25);
      const auto choice = (v[4] & v[5]) ^ (~v[4] & v[6]);
      const auto t1 = v[7] + big1 + choice + round_constants[t] + w[t];
      const auto big0 = rotr(v[0], 2) ^ rotr(v[0], 13) ^ rotr(v[0], 22);
      const auto majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
      const auto t2 = big0 + majority;
      v = {t1 + t2, v[0], v[1], v[2], v[3] + t1, v[4], v[5], v[6]};
    }
    for (std::size_t i = 0; i < 8; ++i) state[i] += v[i];
  }
}

#if defined(__x86_64__)

bool cpu_has_sha() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return false;
  const bool sse = (c & bit_SSSE3) != 0 && (c & bit_SSE4_1) != 0;
  if (!sse || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  return (b & bit_SHA) != 0;
}

// The instructions keep the state as the pairs (A B E F) and (C D G H) and do
// two rounds each; `m` is a ring of the last four schedule vectors.
__attribute__((target("sha,sse4.1,ssse3"))) void compress_sha_ni(
    std::uint32_t* state, const std::byte* blocks, std::size_t count) {
  const auto at = [](auto* p) { return reinterpret_cast<__m128i*>(p); };
  const auto in = [](auto* p) { return reinterpret_cast<const __m128i*>(p); };
  const __m128i byte_swap =
      _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  const __m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128(in(state)), 0xB1);
  const __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128(in(state + 4)), 0x1B);
  __m128i abef = _mm_alignr_epi8(cdab, efgh, 8);
  __m128i cdgh = _mm_blend_epi16(efgh, cdab, 0xF0);
  for (; count > 0; --count, blocks += block_size) {
    const __m128i abef_before = abef;
    const __m128i cdgh_before = cdgh;
    __m128i m[4];
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
      __m128i& word = m[i % 4];
      if (i < 4) {
        word =
            _mm_shuffle_epi8(_mm_loadu_si128(in(blocks + 16 * i)), byte_swap);
      } else {
        const __m128i last = m[(i + 3) % 4];
        word = _mm_sha256msg1_epu32(word, m[(i + 1) % 4]);
        word = _mm_add_epi32(word, _mm_alignr_epi8(last, m[(i + 2) % 4], 4));
        word = _mm_sha256msg2_epu32(word, last);
      }
      const __m128i keyed = _mm_add_epi32(
          word, _mm_load_si128(in(round_constants.data() + 4 * i)));
      cdgh = _mm_sha256rnds2_epu32(cdgh, abef, keyed);
      abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(keyed, 0x0E));
    }
    abef = _mm_add_epi32(abef, abef_before);
    cdgh = _mm_add_epi32(cdgh, cdgh_before);
  }
  const __m128i feba = _mm_shuffle_epi32(abef, 0x1B);
  const __m128i dchg = _mm_shuffle_epi32(cdgh, 0xB1);
  _mm_storeu_si128(at(state), _mm_blend_epi16(feba, dchg, 0xF0));
  _mm_storeu_si128(at(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

#endif

auto fastest_compressor() {
#if defined(__x86_64__)
  static const bool has_sha = cpu_has_sha();
  if (has_sha) return &compress_sha_ni;
#endif
  return &compress_portable;
}

}  // namespace

sha256::sha256(path which)
    : compress_(which == path::portable ? &compress_portable
                                        : fastest_compressor()),
      state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
             0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19},
      tail_{} {}

void sha256::update(std::span<const std::byte> bytes) {
  const std::size_t held = length_ % block_size;
  length_ += bytes.size();
  if (held > 0) {
    const std::size_t taken = std::min(block_size - held, bytes.size());
    std::copy_n(bytes.begin(), taken, tail_.begin() + held);
    bytes = bytes.subspan(taken);
    if (held + taken < block_size) return;
    compress_(state_.data(), tail_.data(), 1);
  }
  const std::size_t blocks = bytes.size() / block_size;
  compress_(state_.data(), bytes.data(), blocks);
  bytes = bytes.subspan(blocks * block_size);
  std::copy(bytes.begin(), bytes.end(), tail_.begin());
}

std::array<std::byte, 32> sha256::digest() const {
  // A one bit, zeros, and the length in bits close the last block or two.
  std::array<std::byte, 2 * block_size> closing{};
  const std::size_t held = length_ % block_size;
  std::copy_n(tail_.begin(), held, closing.begin());
  closing[held] = std::byte{0x80};
  const std::size_t blocks = held + 1 + 8 > block_size ? 2 : 1;
  const std::uint64_t bits = length_ * 8;
  for (std::size_t i = 0; i < 8; ++i) {
    closing[blocks * block_size - 1 - i] =
        static_cast<std::byte>(bits >> (8 * i) & 0xff);
  }
  auto state = state_;
  compress_(state.data(), closing.data(), blocks);
  std::array<std::byte, 32> digest;
  for (std::size_t i = 0; i < digest.size(); ++i) {
    digest[i] =
        static_cast<std::byte>(state[i / 4] >> (24 - 8 * (i % 4)) & 0xff);
  }
  return digest;
}

std::string sha256::hex() const {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  text.reserve(64);
  for (const std::byte b : digest()) {
    text += digits[std::to_integer<std::size_t>(b >> 4)];
    text += digits[std::to_integer<std::size_t>(b & std::byte{15})];
  }
  return text;
}

std::string sha256_hex(std::span<const std::byte> bytes) {
  sha256 hash;
  hash.update(bytes);
  return hash.hex();
}

std::string sha256_hex(std::string_view text) {
  return sha256_hex(std::as_bytes(std::span(text.data(), text.size())));
}

}  // namespace t2
