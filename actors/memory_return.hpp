#pragma once

#include "model/mapped_files.hpp"

namespace t2 {

/// The first member of who needs much for a while: when all behind it are gone, what
/// they had goes back to the system.
struct memory_return {
  ~memory_return() { give_back_memory(); }
};

}  // namespace t2
