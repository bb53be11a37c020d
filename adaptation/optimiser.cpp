#include "adaptation/optimiser.hpp"

#include "adaptation/cem.hpp"
#include "adaptation/random_search.hpp"

namespace t2 {

result<std::unique_ptr<optimiser>> make_optimiser(
    std::string_view name, const optimiser_options& options) {
  if (name == "cem") return std::unique_ptr<optimiser>{
      std::make_unique<cem>(options)};
  if (name == "random") return std::unique_ptr<optimiser>{
      std::make_unique<random_search>(options)};
  return error{ec::invalid_argument,
               "optimiser: expected cem or random, found '" +
                   std::string{name} + "'"};
}

}  // namespace t2
