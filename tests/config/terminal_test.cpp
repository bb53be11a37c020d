#include "config/terminal.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <sstream>

#include "config/progress_bar.hpp"
#include "config/table.hpp"

namespace t2 {
namespace {

TEST(terminal, tells_a_terminal_from_a_pipe) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  EXPECT_FALSE(is_terminal(ends[0]));
  EXPECT_EQ(terminal_width(ends[0], {{"COLUMNS", "132"}}), 132u);
  EXPECT_EQ(terminal_width(ends[0], {{"COLUMNS", "-7"}}), 80u);
  EXPECT_EQ(terminal_width(ends[0], {}), 80u);
  close(ends[0]);
  close(ends[1]);
  const int terminal = posix_openpt(O_RDWR | O_NOCTTY);
  if (terminal < 0) GTEST_SKIP() << "no terminal here: is /dev/pts mounted?";
  EXPECT_TRUE(is_terminal(terminal));
  close(terminal);
}

TEST(terminal, measures_text_in_columns) {
  EXPECT_EQ(display_width("plain"), 5u);
  EXPECT_EQ(display_width("Grüße"), 5u);
  EXPECT_EQ(display_width("漢字"), 4u);
  EXPECT_EQ(display_width("e\xcc\x81"), 1u);  // e and a combining acute
  EXPECT_EQ(display_width("🙂"), 2u);
  EXPECT_EQ(display_width("\xff\xc3"), 2u);
}

TEST(terminal, cuts_between_characters) {
  EXPECT_EQ(cut_to_width("short", 5), "short");
  EXPECT_EQ(cut_to_width("longer", 5), "long…");
  EXPECT_EQ(cut_to_width("漢字漢", 4), "漢…");
  EXPECT_EQ(cut_to_width("abc", 0), "");
}

TEST(terminal, prints_no_control_characters_of_others) {
  EXPECT_EQ(printable("a\x1b[31mb\nc\xc2\x9b"
                      "d"),
            "a?[31mb?c?d");
  EXPECT_EQ(printable("Grüße 漢"), "Grüße 漢");
}

TEST(table, aligns_its_columns) {
  table rows({{"task"}, {"score", alignment::right}, {"note"}});
  rows.add_row({"sums", "0.5", "fine"});
  rows.add_row({"漢字", "12.25", ""});
  rows.add_row({"x"});
  EXPECT_EQ(rows.print(),
            "task  score  note\n"
            "sums    0.5  fine\n"
            "漢字  12.25\n"
            "x\n");
}

TEST(table, cuts_the_last_column_at_the_terminals_edge) {
  table rows({{"a"}, {"text"}});
  rows.add_row({"1", "the quick brown fox"});
  EXPECT_EQ(rows.print(14), "a  text\n1  the quick …\n");
}

struct fake_clock {
  std::chrono::steady_clock::time_point now{};
  progress_bar::clock read() {
    return [this] { return now; };
  }
};

TEST(progress_bar, draws_nothing_away_from_a_terminal) {
  std::ostringstream out;
  {
    progress_bar bar(out, {.label = "replay", .total = 2});
    bar.show(1);
    bar.show(2);
  }
  EXPECT_EQ(out.str(), "");
}

TEST(progress_bar, shows_rate_and_time_left) {
  std::ostringstream out;
  fake_clock clock;
  progress_bar bar(out, {.label = "replay",
                         .total = 40,
                         .unit = "queries",
                         .live = true,
                         .now = clock.read()});
  bar.show(0);
  EXPECT_EQ(out.str(),
            "\rreplay  [........................] 0/40 queries\x1b[K");
  out.str("");
  clock.now += std::chrono::seconds(2);
  bar.show(10, "hit");
  EXPECT_EQ(out.str(),
            "\rreplay  [######..................] 10/40 queries  5.0/s  6.0 s "
            "left  hit\x1b[K");
  out.str("");
  bar.finish();
  bar.finish();
  bar.show(11);
  EXPECT_EQ(out.str(), "\n");
}

TEST(progress_bar, redraws_rarely_but_always_the_last) {
  std::ostringstream out;
  fake_clock clock;
  progress_bar bar(out, {.total = 1000, .live = true, .now = clock.read()});
  for (std::size_t i = 0; i <= 1000; ++i) {
    clock.now += std::chrono::milliseconds(1);
    bar.show(i);
  }
  const auto text = out.str();
  EXPECT_LE(std::count(text.begin(), text.end(), '\r'), 12);
  EXPECT_NE(text.find("1000/1000"), std::string::npos);
}

TEST(progress_bar, the_rate_of_a_resumed_run_counts_from_where_it_began) {
  std::ostringstream out;
  fake_clock clock;
  progress_bar bar(out, {.total = 100, .live = true, .now = clock.read()});
  bar.show(90);
  clock.now += std::chrono::seconds(1);
  bar.show(92);
  EXPECT_NE(out.str().find("2.0/s"), std::string::npos);
}

TEST(progress_bar, never_wraps) {
  std::ostringstream out;
  progress_bar bar(out, {.total = 10, .live = true, .width = 30});
  bar.show(5, std::string(100, 'n'));
  const auto text = out.str();
  EXPECT_LE(display_width(text.substr(1, text.size() - 4)), 29u);
}

}  // namespace
}  // namespace t2
