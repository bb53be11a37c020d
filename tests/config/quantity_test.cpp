#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "config/byte_size.hpp"
#include "config/duration.hpp"

namespace t2 {
namespace {

using std::chrono::milliseconds;

TEST(byte_size, reads_binary_and_decimal_units) {
  EXPECT_EQ(*parse_byte_size("0"), 0);
  EXPECT_EQ(*parse_byte_size("4096"), 4096);
  EXPECT_EQ(*parse_byte_size("17B"), 17);
  EXPECT_EQ(*parse_byte_size("512MiB"), 536'870'912);
  EXPECT_EQ(*parse_byte_size("2 GiB"), 2'147'483'648);
  EXPECT_EQ(*parse_byte_size("2gib"), 2'147'483'648);
  EXPECT_EQ(*parse_byte_size("1.5KiB"), 1536);
  EXPECT_EQ(*parse_byte_size("10MB"), 10'000'000);
  EXPECT_EQ(*parse_byte_size("9223372036854775807"),
            std::numeric_limits<std::int64_t>::max());
}

TEST(byte_size, refuses_what_is_no_size) {
  for (const char* text :
       {"", " ", "MiB", "-1", "+1", "1.5", "1.5B", "1.MiB", ".5MiB", "12 ",
        "12  MiB", "1e3", "5MiBs", "5M", "0x10", "1.2345678MiB", "8388608TiB",
        "9223372036854775808", "99999999999999999999KiB"}) {
    const auto size = parse_byte_size(text);
    ASSERT_FALSE(size) << text;
    EXPECT_EQ(size.error().code, ec::invalid_argument);
    EXPECT_EQ(size.error().message, "expected a size such as 512MiB, found '" +
                                        std::string(text) + "'");
  }
}

TEST(byte_size, what_it_prints_it_reads_back) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 20'000; ++i) {
    // Every magnitude, and round sizes as often as crooked ones.
    auto bytes = static_cast<std::int64_t>(random() >> (1 + random() % 63));
    if (i % 2 == 0) bytes = (bytes >> 40) << (random() % 41);
    const auto text = print_byte_size(bytes);
    const auto read = parse_byte_size(text);
    ASSERT_TRUE(read) << text;
    ASSERT_EQ(*read, bytes) << text;
  }
}

TEST(byte_size, prints_the_largest_exact_unit) {
  EXPECT_EQ(print_byte_size(0), "0");
  EXPECT_EQ(print_byte_size(1024), "1KiB");
  EXPECT_EQ(print_byte_size(1025), "1025");
  EXPECT_EQ(print_byte_size(1536), "1536");
  EXPECT_EQ(print_byte_size(3 * gibibyte), "3GiB");
}

TEST(byte_size, approximates_in_three_digits) {
  EXPECT_EQ(approximate_byte_size(812), "812 B");
  EXPECT_EQ(approximate_byte_size(1434), "1.40 KiB");
  EXPECT_EQ(approximate_byte_size(gibibyte - 1), "1.00 GiB");
  EXPECT_EQ(approximate_byte_size(269 * mebibyte), "269 MiB");
  EXPECT_EQ(approximate_byte_size(141 * gibibyte / 10), "14.1 GiB");
}

TEST(duration, reads_its_units) {
  EXPECT_EQ(*parse_duration("500ms"), milliseconds(500));
  EXPECT_EQ(*parse_duration("30s"), milliseconds(30'000));
  EXPECT_EQ(*parse_duration("5m"), milliseconds(300'000));
  EXPECT_EQ(*parse_duration("1.5h"), milliseconds(5'400'000));
  EXPECT_EQ(*parse_duration("2d"), milliseconds(172'800'000));
  EXPECT_EQ(*parse_duration("0"), milliseconds(0));
}

TEST(duration, asks_for_a_unit) {
  for (const char* text : {"30", "s", "-5s", "5 minutes", "1.5ms", ""}) {
    ASSERT_FALSE(parse_duration(text)) << text;
  }
}

TEST(duration, what_it_prints_it_reads_back) {
  std::mt19937_64 random(11);
  for (int i = 0; i < 20'000; ++i) {
    const milliseconds time(static_cast<std::int64_t>(random() >> 20) *
                            (i % 2 == 0 ? 60'000 : 1));
    ASSERT_EQ(*parse_duration(print_duration(time)), time);
  }
  EXPECT_EQ(print_duration(milliseconds(90'000)), "90s");
  EXPECT_EQ(print_duration(milliseconds(300'000)), "5m");
}

TEST(duration, approximates_for_people) {
  using seconds = std::chrono::duration<double>;
  EXPECT_EQ(approximate_duration(seconds(0.0834)), "83 ms");
  EXPECT_EQ(approximate_duration(seconds(4.24)), "4.2 s");
  EXPECT_EQ(approximate_duration(seconds(59.99)), "1m 00s");
  EXPECT_EQ(approximate_duration(seconds(187)), "3m 07s");
  EXPECT_EQ(approximate_duration(seconds(7500)), "2h 05m");
}

}  // namespace
}  // namespace t2
