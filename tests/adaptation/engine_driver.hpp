#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "adaptation/few_shot_search.hpp"
#include "engine/engine.hpp"

namespace t2 {

/// Scores rows on a real engine, to the end.
inline std::vector<row_score> score_all(engine& on,
                                        std::vector<scoring_row> rows,
                                        std::size_t shared_prefix = 0) {
  std::vector<row_score> out;
  bool heard = false;
  const auto id = on.score(
      std::move(rows),
      [&](result<std::vector<row_score>> scores) {
        heard = true;
        ASSERT_TRUE(scores) << scores.error().message;
        out = *std::move(scores);
      },
      priority::background, shared_prefix);
  EXPECT_TRUE(id) << id.error().message;
  while (id && !heard && on.step()) {
  }
  EXPECT_TRUE(heard);
  return out;
}

inline std::vector<search_answer> generate_all(
    engine& on, std::vector<generation_request> requests) {
  std::vector<search_answer> out(requests.size());
  std::size_t ended = 0;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    requests[i].on_event = [&out, &ended, i](const generation_event& event) {
      out[i].text += event.text;
      out[i].tokens = event.answer_tokens;
      if (event.finished) ++ended;
    };
    const auto id = on.submit(std::move(requests[i]));
    EXPECT_TRUE(id) << id.error().message;
  }
  while (ended < out.size() && on.step()) {
  }
  EXPECT_EQ(ended, out.size());
  return out;
}

/// Runs a search on a real engine, to the end.
inline result<few_shot_outcome> run_search(engine& on,
                                           few_shot_search& search) {
  for (;;) {
    const search_work& work = search.next();
    if (const auto* rows = std::get_if<score_work>(&work)) {
      const auto told = search.tell(score_all(on, rows->rows));
      if (!told) return told.error();
    } else if (const auto* texts = std::get_if<generate_work>(&work)) {
      const auto told = search.tell(generate_all(on, texts->requests));
      if (!told) return told.error();
    } else {
      return search.outcome();
    }
  }
}

}  // namespace t2
