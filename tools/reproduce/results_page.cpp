#include "tools/reproduce/results_page.hpp"
namespace t2::reproduce {
result<void> write_results_page(const std::filesystem::path&,
                                const measurements&, const scope&) { return {}; }
}
