#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "actors/decomposition.hpp"
#include "adaptation/expert_pool.hpp"
#include "config/result.hpp"
#include "engine/engine.hpp"
#include "store/records.hpp"

namespace t2 {

/// Makes stored expert versions ready to be combined: reads them, decomposes
/// what the SVD cache lacks, and builds their pool. A job of the engine.
class expert_pool_job : public engine_job {
 public:
  explicit expert_pool_job(std::vector<store_expert_version> versions)
      : versions_(std::move(versions)) {}

  bool advance(language_model& model) override;
  /// Once advance() returned false.
  const result<std::shared_ptr<const expert_pool>>& outcome() const {
    return outcome_;
  }

 private:
  result<void> read(const language_model& model);
  void build(const language_model& model);
  bool end(result<std::shared_ptr<const expert_pool>> outcome);

  std::vector<store_expert_version> versions_;
  std::vector<expert_ref> experts_;
  std::shared_ptr<const svf_layout> layout_;
  std::optional<decomposition> decomposition_;
  result<std::shared_ptr<const expert_pool>> outcome_ =
      error{ec::cancelled, "the experts were not read to the end"};
};

}  // namespace t2
