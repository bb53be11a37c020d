#pragma once

#include <filesystem>

namespace t2::tests {

// Functions, not macros: test objects are the same in every checkout, so a
// compiler cache serves them all.

/// The project's folder; T2_TEST_SOURCE where tests run on a machine that has
/// not built them.
std::filesystem::path source_folder();
/// tests/assets: what the tests read.
std::filesystem::path assets();

}  // namespace t2::tests
