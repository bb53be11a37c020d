#pragma once

#include <filesystem>

#include "config/result.hpp"
#include "tools/reproduce/study.hpp"

namespace t2::reproduce {

/// Writes the tables and plots of what was measured: Markdown at `page`, plots
/// beside it. Says of each claim of the paper whether it holds here.
result<void> write_results_page(const std::filesystem::path& page,
                                const measurements& log, const scope& extent);

}  // namespace t2::reproduce
