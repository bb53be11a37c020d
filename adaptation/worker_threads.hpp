#pragma once

#include <cstddef>
#include <functional>

namespace t2 {

/// Calls work(0) ... work(count − 1), at most `workers` at a time (0: one a
/// core), and returns when all have returned. The caller's thread is one.
void run_at_once(std::size_t count, std::size_t workers,
                 const std::function<void(std::size_t)>& work);

}  // namespace t2
