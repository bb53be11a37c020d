#pragma once

#include <cstddef>

#include "config/result.hpp"

namespace t2 {

/// Raises what this process may open to all that it is allowed to (the hard
/// limit of RLIMIT_NOFILE), and says how many connections of the `wanted` fit
/// beside what is open already and `others`: files, and programs of the sandbox.
/// ec::exhausted when not even `least` do.
result<std::size_t> connections_that_fit(std::size_t wanted, std::size_t least,
                                         std::size_t others);

}  // namespace t2
