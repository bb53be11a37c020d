#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "config/result.hpp"

namespace t2 {

struct weighted_file {
  std::string file;  // bytes of an expert file of norm none
  float alpha = 1;
};

/// The control for a claim about a mixture (paper section 4.4): an expert file
/// with z = 1 + Σ α_k (z_k − 1), what the mixture does under the delta rule,
/// and the entries of each projection's z in another order. The sizes of its
/// steps are the mixture's, their directions mean nothing. The same bytes for
/// the same files and seed on every machine. ec::invalid_argument: no file, or
/// files of different projections.
result<std::string> shuffled_blend(std::span<const weighted_file> parts,
                                   std::uint64_t seed);

}  // namespace t2
