#pragma once

#include "adaptation/optimiser.hpp"
#include "adaptation/random_stream.hpp"

namespace t2 {

/// Candidates uniform in [low, high]. Its draws depend on no score, so they
/// may be judged on any data.
class random_search : public optimiser {
 public:
  explicit random_search(const optimiser_options& options);
  std::vector<candidate> ask(std::size_t n) override;
  void tell(std::span<const candidate>, std::span<const double>) override {}
  bool adaptive() const override { return false; }

 private:
  optimiser_options options_;
  random_stream random_;
};

}  // namespace t2
