#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/flow_id.hpp"
#include "engine/prefix_cache.hpp"
#include "text/tokenizer.hpp"

namespace t2 {

using sequence_id = std::uint64_t;
/// Number of a mixture in the engine's table (delta_table); −1: the base.
using delta_slot = std::int32_t;

/// Live rows are served first. Background work (searches, rollouts, jobs) runs
/// when nothing live waits, and else in slices of about 50 ms, each after three
/// times as long of live steps.
enum class priority : std::uint8_t { live, background };

/// One row of the engine: an answer that is being written, or a text whose
/// likelihood is wanted. What is behind it (who hears of it, its text) is the
/// engine's; this is what a step is planned by.
struct sequence {
  sequence_id owner = 0;  // what cancel() names; several rows may have one
  priority urgency = priority::live;
  flow_id flow;  // whose share of a step it takes
  bool answers = true;
  /// All whose keys are to be computed: a text's without its last.
  std::vector<token_id> tokens;
  /// Hidden states are wanted from this position on: of an answer its last one's.
  std::int64_t wanted_from = 0;
  /// Of a text: its last token, and other texts' first answer tokens, where they
  /// ask the same.
  token_id last_token = 0;
  std::vector<token_id> other_firsts;
  std::int64_t capacity = 0;  // positions at most
  std::int64_t stays = 0;     // so many stay in the prefix cache when it ends
  delta_slot slot = -1;
  prefix_scope scope;

  // The scheduler's.
  std::uint64_t arrival = 0;  // later ones give way to earlier ones
  bool begun = false;         // it holds pages
  std::int64_t computed = 0;  // positions whose keys are stored
  std::int64_t found = 0;     // of them, in the prefix cache when it began
  std::int64_t planned = 0;   // positions behind them that the step computes
  std::vector<page_id> pages;
  prefix_cache::node* root = nullptr;
  prefix_cache::node* noted = nullptr;  // the last of its pages that is
  bool notes = true;                    // what follows is noted, too

  std::int64_t size() const { return static_cast<std::int64_t>(tokens.size()); }
  std::int64_t pending() const { return size() - computed; }
  bool decodes() const { return begun && answers && pending() == 1; }
  token_id token_after(std::int64_t position) const {
    const auto next = static_cast<std::size_t>(position + 1);
    return next < tokens.size() ? tokens[next] : last_token;
  }
};

}  // namespace t2
