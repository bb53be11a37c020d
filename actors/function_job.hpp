#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "engine/engine.hpp"

namespace t2 {

/// A job of the engine that is one function: true while there is more to do.
class function_job : public engine_job {
 public:
  explicit function_job(std::function<bool(language_model&)> work)
      : work_(std::move(work)) {}
  bool advance(language_model& model) override { return work_(model); }

 private:
  std::function<bool(language_model&)> work_;
};

inline std::shared_ptr<engine_job> make_job(
    std::function<bool(language_model&)> work) {
  return std::make_shared<function_job>(std::move(work));
}

/// A job that is done in one slice.
inline std::shared_ptr<engine_job> make_slice(
    std::function<void(language_model&)> work) {
  return make_job([work = std::move(work)](language_model& model) {
    work(model);
    return false;
  });
}

}  // namespace t2
