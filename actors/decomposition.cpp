#include "actors/decomposition.hpp"

#include <utility>

namespace t2 {
namespace {

constexpr std::chrono::milliseconds slice{50};

}  // namespace

decomposition::decomposition(
    std::shared_ptr<const svf_layout> layout,
    std::function<void(std::size_t, std::size_t)> on_progress)
    : layout_(std::move(layout)), on_progress_(std::move(on_progress)) {}

bool decomposition::advance(const language_model& model) {
  const auto end = std::chrono::steady_clock::now() + slice;
  const std::size_t before = done_;
  bool yielded = false;
  outcome_ = model.decompose(
      *layout_, [&](std::size_t done, std::size_t total) {
        done_ = done;
        if (on_progress_) on_progress_(done, total);
        // A slice that only passed what earlier ones did would never end.
        yielded = done > before && done < total &&
                  std::chrono::steady_clock::now() >= end;
        return !yielded;
      });
  return !outcome_ && outcome_.error().code == ec::cancelled && yielded;
}

result<void> decomposition_job::begin(const language_model& model) {
  const auto targets = parse_svf_targets(targets_);
  if (!targets) return targets.error();
  if (const auto fits = targets->check(model.config()); !fits) return fits;
  const auto layout =
      std::make_shared<const svf_layout>(model.config(), *targets);
  projections_ = static_cast<std::int64_t>(layout->size());
  work_.emplace(layout, [this](std::size_t done, std::size_t total) {
    if (!on_progress_) return;
    on_progress_(static_cast<std::int64_t>(done),
                 static_cast<std::int64_t>(total));
  });
  return {};
}

bool decomposition_job::advance(language_model& model) {
  if (!work_) {
    if (const auto begun = begin(model); !begun) {
      outcome_ = begun.error();
      return false;
    }
  }
  if (work_->advance(model)) return true;
  if (const auto& done = work_->outcome(); done) {
    outcome_ = projections_;
  } else {
    outcome_ = done.error();
  }
  return false;
}

}  // namespace t2
