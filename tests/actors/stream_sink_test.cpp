#include "actors/stream_sink.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "actors/pending_reply.hpp"

namespace t2 {
namespace {

using sink = stream_sink<int, std::string>;

TEST(stream_sink, passes_parts_on_until_the_final_result_and_none_after_it) {
  std::vector<int> parts;
  std::vector<std::string> finals;
  sink s([&](int p) { parts.push_back(p); },
         [&](result<std::string> r) { finals.push_back(r ? *r : "error"); },
         "the query");
  s.part(1);
  s.part(2);
  EXPECT_TRUE(s.finish(std::string("done")));
  EXPECT_FALSE(s.finish(std::string("again")));
  s.part(3);
  EXPECT_EQ(parts, (std::vector<int>{1, 2}));
  EXPECT_EQ(finals, std::vector<std::string>{"done"});
}

TEST(stream_sink, says_that_the_request_was_lost_when_its_last_owner_goes) {
  std::optional<error> heard;
  {
    const auto s = std::make_shared<const sink>(
        nullptr,
        [&](result<std::string> r) {
          if (!r) heard = r.error();
        },
        "the query");
    const auto other = s;
    s->part(1);
  }
  ASSERT_TRUE(heard);
  EXPECT_EQ(heard->code, ec::unavailable);
  EXPECT_NE(heard->message.find("the query"), std::string::npos);
}

TEST(stream_sink, finishes_once_however_many_threads_finish_it) {
  for (int round = 0; round < 200; ++round) {
    std::atomic<int> finals{0};
    std::atomic<bool> ended{false};
    std::atomic<bool> late{false};
    sink s([&](int) { late = late || ended; },
           [&](result<std::string>) {
             ++finals;
             ended = true;
           },
           "the query");
    std::thread parts([&] {
      for (int i = 0; i < 50; ++i) s.part(i);
    });
    std::thread first([&] { s.finish(std::string("a")); });
    std::thread second([&] { s.finish(std::string("b")); });
    parts.join();
    first.join();
    second.join();
    EXPECT_EQ(finals, 1);
    EXPECT_FALSE(late) << "a part came after the final result";
  }
}

TEST(pending_reply, answers_unavailable_when_nobody_answered) {
  std::vector<ec> heard;
  const auto note = [&](result<int> r) {
    heard.push_back(r ? ec::none : r.error().code);
  };
  { pending_reply<int> unanswered(note); }
  {
    pending_reply<int> answered(note);
    answered(1);
    answered(2);
  }
  EXPECT_EQ(heard, (std::vector<ec>{ec::unavailable, ec::none}));
}

}  // namespace
}  // namespace t2
