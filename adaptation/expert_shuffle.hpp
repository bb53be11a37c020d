#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "config/result.hpp"

namespace t2 {

/// An expert file with the entries of each projection's z in another order:
/// the control for every claim about experts (paper section 4.4). The sizes of
/// its steps are the expert's, their directions mean nothing. The same bytes
/// for the same file and seed on every machine.
result<std::string> shuffle_expert_file(std::string_view file,
                                        std::uint64_t seed);

}  // namespace t2
