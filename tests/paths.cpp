#include "tests/paths.hpp"

#include <cstdlib>

namespace t2::tests {

std::filesystem::path source_folder() {
  const char* elsewhere = std::getenv("T2_TEST_SOURCE");
  return elsewhere ? elsewhere : T2_SOURCE_DIR;
}
std::filesystem::path assets() { return source_folder() / "tests/assets"; }

}  // namespace t2::tests
