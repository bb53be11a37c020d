#include "model/simd.hpp"

namespace t2::simd {

int register_width() {
  static const int width = [] {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("x86-64-v4")) return 16;
    if (__builtin_cpu_supports("x86-64-v3")) return 8;
#endif
    return 4;
  }();
  return width;
}

}  // namespace t2::simd
