#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "adaptation/optimiser.hpp"
#include "config/result.hpp"

namespace t2 {

/// The α of K experts, `per_expert` numbers each (1, or one for each adapted
/// projection), expert by expert.
struct mixture_space {
  std::size_t experts = 1;
  std::size_t per_expert = 1;
  std::size_t dimension() const { return experts * per_expert; }
  /// Expert k alone, undiluted.
  candidate single(std::size_t k) const;
};

/// An optimiser over the α of some experts of a space, told of the scores on
/// some of a task's shots: the search on all of them, or on those outside one
/// fold. Its points are of the whole space, 0 where it does not search.
class search_chain {
 public:
  /// `population`: candidates of one draw.
  search_chain(mixture_space space, std::vector<std::size_t> shots,
               std::size_t population)
      : space_(space), shots_(std::move(shots)), population_(population) {}

  /// Searches these experts (ascending) from now on. `options.dimension` and
  /// `mean` are set here.
  result<void> search(const std::string& optimiser, optimiser_options options,
                      std::vector<std::size_t> experts);

  std::vector<candidate> draw();
  /// Points outside the chain's experts are passed over.
  void tell(std::span<const candidate> points, std::span<const double> scores);

  /// False where no draw depends on a score, apart from which experts.
  bool adaptive() const { return draws_->adaptive(); }
  const std::vector<std::size_t>& experts() const { return experts_; }
  const std::vector<std::size_t>& shots() const { return shots_; }
  std::size_t population() const { return population_; }

 private:
  mixture_space space_;
  std::vector<std::size_t> shots_;
  std::size_t population_;
  std::vector<std::size_t> experts_;
  std::unique_ptr<optimiser> draws_;
};

/// The `count` experts that are likeliest on `shots` each alone, ascending;
/// `likelihood[k][i]` is that of shot i under expert k (earlier wins ties).
std::vector<std::size_t> best_alone(
    std::span<const std::vector<double>> likelihood,
    std::span<const std::size_t> shots, std::size_t count);

}  // namespace t2
