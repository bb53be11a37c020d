#include "http/event_stream.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace t2 {
namespace {

std::vector<std::string> cut(const std::string& text, std::size_t piece) {
  event_stream stream;
  std::vector<std::string> events;
  for (std::size_t at = 0; at < text.size(); at += piece) {
    stream.feed(text.substr(at, piece), [&](server_event event) {
      events.push_back(event.name + "|" + event.data);
    });
  }
  return events;
}

TEST(event_stream, gives_the_same_events_however_the_text_is_cut) {
  const std::string text =
      ": a comment\n\ndata: one\n\nevent: progress\r\ndata:two\r\ndata: "
      "three\r\n\r\nid: 7\nretry: 5\n\ndata\n\ndata: never ended\n";
  const std::vector<std::string> expected = {"|one", "progress|two\nthree",
                                             "|"};
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    EXPECT_EQ(cut(text, piece), expected) << "in pieces of " << piece;
  }
}

TEST(event_stream, keeps_colons_and_spaces_of_the_data) {
  EXPECT_EQ(cut("data:  a: b\n\n", 100), (std::vector<std::string>{"| a: b"}));
}

}  // namespace
}  // namespace t2
