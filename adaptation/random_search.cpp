#include "adaptation/random_search.hpp"

namespace t2 {

random_search::random_search(const optimiser_options& options)
    : options_(options), random_(options.seed, options.stream) {}

std::vector<candidate> random_search::ask(std::size_t n) {
  std::vector<candidate> out(n, candidate(options_.dimension));
  for (candidate& c : out)
    for (float& x : c)
      x = options_.low + (options_.high - options_.low) *
                             static_cast<float>(random_.uniform());
  return out;
}

}  // namespace t2
