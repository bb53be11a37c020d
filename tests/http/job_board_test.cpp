#include "http/job_board.hpp"

#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "tests/http/temporary_folder.hpp"

namespace t2 {
namespace {

class jobs : public testing::Test {
 protected:
  std::string open(const std::string& subject = "sums") {
    auto id = board_.open("adaptation", subject);
    EXPECT_TRUE(id) << id.error().message;
    return id ? *id : "";
  }
  ordered_json show(const std::string& id) {
    auto form = board_.show(id);
    EXPECT_TRUE(form) << form.error().message;
    return form ? *form : ordered_json();
  }

  std::int64_t now_ = 100;
  job_board board_{[this] { return now_++; }};
};

TEST_F(jobs, tell_how_they_came_along) {
  const auto id = open();
  auto form = show(id);
  EXPECT_EQ(form["object"], "job");
  EXPECT_EQ(form["status"], "queued");
  EXPECT_EQ(form["created"], 100);
  EXPECT_TRUE(form["started"].is_null());
  board_.progress(id, {{"step", 1}});
  board_.progress(id, {{"step", 2}});
  form = show(id);
  EXPECT_EQ(form["status"], "running");
  EXPECT_EQ(form["started"], 101);
  EXPECT_EQ(form["progress"]["step"], 2);
  EXPECT_EQ(form["curve"].size(), 2u);
  EXPECT_EQ(board_.live("adaptation", "sums"), id);
  EXPECT_FALSE(board_.live("training", "sums"));
  board_.finish(id, ordered_json{{"accepted", true}});
  board_.progress(id, {{"step", 3}});
  board_.finish(id, error{ec::io, "late"});
  form = show(id);
  EXPECT_EQ(form["status"], "succeeded");
  EXPECT_EQ(form["result"]["accepted"], true);
  EXPECT_EQ(form["progress"]["step"], 2);
  EXPECT_TRUE(form["error"].is_null());
  EXPECT_FALSE(board_.live("adaptation", "sums"));
  EXPECT_EQ(board_.show("job-none").error().code, ec::not_found);
}

class remembered_jobs : public jobs {
 protected:
  std::filesystem::path file() const { return folder_ / "store.db.jobs"; }
  job_board begin() {
    return job_board([this] { return now_++; }, job_journal(file()));
  }
  test::temporary_folder folder_;
};

TEST_F(remembered_jobs, that_a_process_cut_are_failed_in_the_next) {
  std::string killed, asked, watched, stopped, cancelled, done;
  {
    job_board board = begin();
    killed = *board.open("training", "math", true);
    board.progress(killed, {{"step", 12}});
    watched = *board.open("training", "song", false);
    stopped = *board.open("adaptation", "sums", true);
    board.finish(stopped, error{ec::cancelled, "goes on from F"});
    cancelled = *board.open("adaptation", "odds", true);
    board.on_cancel(cancelled, [] {});
    EXPECT_TRUE(board.cancel(cancelled));
    board.finish(cancelled, error{ec::cancelled, "as you wish"});
    done = *board.open("adaptation", "evens", true);
    board.finish(done, ordered_json{{"accepted", true}});
    // To this process it was not the caller's doing.
    EXPECT_EQ(board.show(stopped)->at("status"), "failed");
    EXPECT_EQ(board.show(cancelled)->at("status"), "cancelled");
  }
  for (int later = 0; later < 2; ++later) {
    const job_board board = begin();
    ASSERT_EQ(board.list().size(), 2u) << later;
    const auto one = *board.show(killed);
    EXPECT_EQ(one["status"], "failed");
    EXPECT_EQ(one["kind"], "training");
    EXPECT_EQ(one["subject"], "math");
    EXPECT_EQ(one["error"]["code"], "cancelled");
    EXPECT_TRUE(one["finished"].is_number());
    const std::string why = board.show(stopped)->at("error").at("message");
    EXPECT_NE(why.find("goes on from F"), std::string::npos) << why;
    for (const auto& gone : {watched, cancelled, done})
      EXPECT_EQ(board.show(gone).error().code, ec::not_found);
    EXPECT_FALSE(board.live("training", "math"));
  }
}

TEST_F(remembered_jobs, of_a_broken_file_are_none) {
  const std::string torn[] = {
      "", "{", "[]", R"({"format":"t2-jobs-9","jobs":[]})",
      R"({"format":"t2-jobs-1","jobs":[{"id":3},7,{"id":"a"}]})",
      R"({"format":"t2-jobs-1","jobs":{}})"};
  for (const auto& bytes : torn) {
    std::ofstream(file()) << bytes;
    job_board board = begin();
    EXPECT_TRUE(board.list().empty()) << bytes;
    EXPECT_TRUE(board.open("training", "math", true));
    EXPECT_EQ(begin().list().size(), 1u) << bytes;
  }
}

TEST_F(remembered_jobs, are_no_more_than_it_keeps) {
  for (std::size_t i = 0; i < job_board::kept + 20; ++i) {
    job_board board = begin();
    ASSERT_TRUE(board.open("training", std::to_string(i), true));
  }
  const auto left = begin().list();
  EXPECT_LE(left.size(), 2 * job_board::kept);
  EXPECT_EQ(left.front()["subject"], std::to_string(job_board::kept + 19));
}

TEST_F(jobs, stop_with_what_they_have_or_as_cancelling_does) {
  int cancelled = 0, stopped = 0;
  const auto both = open(), one = open();
  board_.on_cancel(both, [&] { ++cancelled; }, [&] { ++stopped; });
  board_.on_cancel(one, [&] { ++cancelled; });
  EXPECT_TRUE(board_.stop(both));
  EXPECT_EQ(stopped, 1);
  EXPECT_EQ(cancelled, 0);
  EXPECT_TRUE(board_.stop(both));
  EXPECT_EQ(stopped, 1);
  // It takes too long after all.
  EXPECT_TRUE(board_.cancel(both));
  EXPECT_EQ(cancelled, 1);
  EXPECT_TRUE(board_.stop(one));
  EXPECT_EQ(cancelled, 2);
  EXPECT_EQ(board_.stop("job-none").error().code, ec::not_found);
}

TEST_F(jobs, fail_with_an_error_or_are_cancelled) {
  const auto failed = open();
  board_.finish(failed, error{ec::exhausted, "no budget"});
  EXPECT_EQ(show(failed)["status"], "failed");
  EXPECT_EQ(show(failed)["error"]["code"], "exhausted");
  int cancelled = 0;
  const auto ended = open();
  board_.on_cancel(ended, [&] { ++cancelled; });
  EXPECT_TRUE(board_.cancel(ended));
  EXPECT_TRUE(board_.cancel(ended));
  EXPECT_EQ(cancelled, 1);
  board_.finish(ended, error{ec::cancelled, "cancelled"});
  EXPECT_EQ(show(ended)["status"], "cancelled");
  // Asked for before anybody could say how.
  const auto early = open();
  EXPECT_TRUE(board_.cancel(early));
  board_.on_cancel(early, [&] { ++cancelled; });
  EXPECT_EQ(cancelled, 2);
  EXPECT_EQ(board_.cancel("job-none").error().code, ec::not_found);
}

TEST_F(jobs, keep_a_curve_of_bounded_length_that_spans_the_run) {
  const auto id = open();
  constexpr int steps = 12'345;
  for (int i = 0; i < steps; ++i) board_.progress(id, {{"step", i}});
  const auto curve = show(id)["curve"];
  EXPECT_LE(curve.size(), job_board::most_points);
  EXPECT_GE(curve.size(), job_board::most_points / 2 - 1);
  EXPECT_EQ(curve.front()["step"], 0);
  const int stride = curve[1]["step"].get<int>();
  for (std::size_t i = 1; i < curve.size(); ++i)
    EXPECT_EQ(curve[i]["step"].get<int>() - curve[i - 1]["step"].get<int>(),
              stride);
  EXPECT_GE(curve.back()["step"].get<int>() + stride, steps);
}

TEST_F(jobs, are_forgotten_oldest_first_once_they_have_ended) {
  const auto alive = open();
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < job_board::kept + 5; ++i) {
    ids.push_back(open());
    board_.finish(ids.back(), ordered_json{});
  }
  EXPECT_EQ(board_.list().size(), job_board::kept + 1);
  EXPECT_EQ(board_.list().front()["id"], ids.back());
  EXPECT_FALSE(board_.list().front().contains("curve"));
  EXPECT_EQ(board_.list().back()["id"], alive);
  EXPECT_FALSE(board_.show(ids[4]));
  EXPECT_TRUE(board_.show(ids[5]));
}

TEST_F(jobs, are_refused_when_too_many_are_under_way) {
  for (std::size_t i = 0; i < job_board::most_live; ++i) open();
  EXPECT_EQ(board_.open("training", "x").error().code, ec::busy);
}

TEST(job_board, serves_threads_at_once) {
  job_board board([] { return std::int64_t{1}; });
  std::vector<std::jthread> threads;
  std::array<std::string, 4> ids;
  for (auto& id : ids)
    threads.emplace_back([&board, &id] {
      id = *board.open("training", "x");
      for (int i = 0; i < 1000; ++i) {
        board.progress(id, {{"step", i}});
        (void)board.list();
      }
      board.finish(id, ordered_json{{"done", true}});
    });
  threads.clear();
  EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()).size(), 4u);
  for (const auto& id : ids)
    EXPECT_EQ((*board.show(id))["progress"]["step"], 999);
}

}  // namespace
}  // namespace t2
