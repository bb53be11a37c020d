#pragma once

#include <span>
#include <string>

#include "config/environment.hpp"
#include "config/options.hpp"

namespace t2 {

/// How threads of tensors wait for one another: `engine.spin` turns of a loop,
/// then asleep, so that a busy neighbour on the machine costs what it takes and
/// not the pace of the slowest. The OpenMP library reads that from the
/// environment when it is loaded, before `main`: where it says neither
/// GOMP_SPINCOUNT nor OMP_WAIT_POLICY, this starts the same program again with
/// the first of them set, in the same process, and does not come back. Comes
/// back where nothing is to be done or the program cannot be started (its file
/// is gone). First in `main`: before threads, signals and files.
void wait_as_asked(const engine_settings& settings, const environment& env,
                   const std::string& program,
                   std::span<const std::string> arguments);

}  // namespace t2
