#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "config/result.hpp"
#include "engine/engine.hpp"
#include "model/language_model.hpp"

namespace t2 {

/// Computes what the SVD cache lacks of a layout, in slices of about 50 ms or
/// one projection, whichever is longer. The engine's thread only.
class decomposition {
 public:
  /// `on_progress(done, total)` counts projections.
  explicit decomposition(
      std::shared_ptr<const svf_layout> layout,
      std::function<void(std::size_t, std::size_t)> on_progress = {});

  /// False when it has ended.
  bool advance(const language_model& model);
  /// Once it has ended.
  const result<void>& outcome() const { return outcome_; }

 private:
  std::shared_ptr<const svf_layout> layout_;
  std::function<void(std::size_t, std::size_t)> on_progress_;
  std::size_t done_ = 0;  // projections, at the end of the last slice
  result<void> outcome_;
};

/// The same as a job of the engine, for targets by name.
class decomposition_job : public engine_job {
 public:
  decomposition_job(std::string targets,
                    std::function<void(std::int64_t, std::int64_t)> on_progress)
      : targets_(std::move(targets)), on_progress_(std::move(on_progress)) {}

  bool advance(language_model& model) override;
  /// Once advance() returned false: how many projections there are.
  const result<std::int64_t>& outcome() const { return outcome_; }

 private:
  result<void> begin(const language_model& model);

  std::string targets_;
  std::function<void(std::int64_t, std::int64_t)> on_progress_;
  std::int64_t projections_ = 0;
  std::optional<decomposition> work_;
  result<std::int64_t> outcome_ =
      error{ec::cancelled, "the decomposition was cancelled"};
};

}  // namespace t2
