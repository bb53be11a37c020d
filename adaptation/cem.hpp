#pragma once

#include "adaptation/optimiser.hpp"
#include "adaptation/random_stream.hpp"

namespace t2 {

/// The cross-entropy method of the released code: a diagonal normal, refitted
/// to the elite after each population, draws clamped to [low, high].
///
/// Different here: half of the old deviation stays at each fit; the elite
/// competes with every later population (scores are of the same shots, so an
/// old one is as good as a new one), which keeps small populations stable; and
/// once fitted, the mean itself is the first candidate of a population.
class cem : public optimiser {
 public:
  explicit cem(const optimiser_options& options);
  std::vector<candidate> ask(std::size_t n) override;
  void tell(std::span<const candidate> candidates,
            std::span<const double> scores) override;
  bool adaptive() const override { return true; }

  const std::vector<double>& mean() const { return mean_; }
  const std::vector<double>& sigma() const { return sigma_; }

 private:
  struct scored {
    candidate point;
    double score;
  };
  optimiser_options options_;
  random_stream random_;
  std::vector<double> mean_, sigma_;
  std::vector<scored> elite_;  // best first
};

}  // namespace t2
