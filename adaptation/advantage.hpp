#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "config/result.hpp"

namespace t2 {

/// What of a reward a policy gradient weighs log π with.
enum class advantage_kind : std::uint8_t {
  none,           // the reward itself (REINFORCE; unbiased)
  batch_mean,     // less the mean of the batch, itself included (biased a bit)
  leave_one_out,  // less the mean of the others (RLOO, arXiv 2402.14740;
                  // unbiased): the other samples of the prompt, or, with one
                  // sample a prompt, the rest of the batch
};

std::string_view to_string(advantage_kind kind);
result<advantage_kind> parse_advantage(std::string_view text);

/// One for each reward. `samples`: neighbours that answer one prompt. A reward
/// without others keeps its own value.
std::vector<double> advantages(std::span<const double> rewards,
                               std::size_t samples, advantage_kind kind);

}  // namespace t2
