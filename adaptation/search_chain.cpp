#include "adaptation/search_chain.hpp"

#include <algorithm>
#include <numeric>

#include "adaptation/cross_fit.hpp"

namespace t2 {

candidate mixture_space::single(std::size_t k) const {
  candidate alpha(dimension(), 0.0f);
  std::fill_n(alpha.begin() + static_cast<std::ptrdiff_t>(k * per_expert),
              per_expert, 1.0f);
  return alpha;
}

result<void> search_chain::search(const std::string& optimiser,
                                  optimiser_options options,
                                  std::vector<std::size_t> experts) {
  options.dimension = experts.size() * space_.per_expert;
  options.mean = 1.0 / static_cast<double>(experts.size());
  auto made = make_optimiser(optimiser, options);
  if (!made) return made.error();
  draws_ = *std::move(made);
  experts_ = std::move(experts);
  return {};
}

std::vector<candidate> search_chain::draw() {
  const auto n = static_cast<std::ptrdiff_t>(space_.per_expert);
  std::vector<candidate> out;
  for (const candidate& point : draws_->ask(population_)) {
    candidate whole(space_.dimension(), 0.0f);
    auto from = point.begin();
    for (const std::size_t k : experts_) {
      std::copy_n(from, n,
                  whole.begin() + static_cast<std::ptrdiff_t>(k) * n);
      from += n;
    }
    out.push_back(std::move(whole));
  }
  return out;
}

void search_chain::tell(std::span<const candidate> points,
                        std::span<const double> scores) {
  std::vector<candidate> mine;
  std::vector<double> worth;
  for (std::size_t i = 0; i < points.size(); ++i) {
    candidate inside;
    bool outside = false;
    for (std::size_t k = 0; k < space_.experts; ++k) {
      const auto of_k = std::span{points[i]}.subspan(k * space_.per_expert,
                                                     space_.per_expert);
      if (std::ranges::binary_search(experts_, k))
        inside.insert(inside.end(), of_k.begin(), of_k.end());
      else
        outside = outside || std::ranges::any_of(
                                 of_k, [](float a) { return a != 0; });
    }
    if (outside) continue;
    mine.push_back(std::move(inside));
    worth.push_back(scores[i]);
  }
  draws_->tell(mine, worth);
}

std::vector<std::size_t> best_alone(
    std::span<const std::vector<double>> likelihood,
    std::span<const std::size_t> shots, std::size_t count) {
  std::vector<std::size_t> order(likelihood.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::ranges::greater{}, [&](std::size_t k) {
    return mean_over(likelihood[k], shots);
  });
  order.resize(std::min(count, order.size()));
  std::ranges::sort(order);
  return order;
}

}  // namespace t2
