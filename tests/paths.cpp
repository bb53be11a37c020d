#include "tests/paths.hpp"

namespace t2::tests {

std::filesystem::path source_folder() { return T2_SOURCE_DIR; }
std::filesystem::path assets() { return source_folder() / "tests/assets"; }

}  // namespace t2::tests
