#include "actors/expert_pool_job.hpp"

#include <utility>

#include "adaptation/expert.hpp"

namespace t2 {

bool expert_pool_job::advance(language_model& model) {
  if (!decomposition_) {
    if (const auto done = read(model); !done) return end(done.error());
    decomposition_.emplace(layout_);
  }
  if (decomposition_->advance(model)) return true;
  if (const auto& done = decomposition_->outcome(); !done) {
    return end(done.error());
  }
  build(model);
  return false;
}

result<void> expert_pool_job::read(const language_model& model) {
  for (const store_expert_version& version : versions_) {
    auto parsed = parse_expert(
        version.z_safetensors,
        version.expert + "@" + std::to_string(version.version), model.config(),
        model.fingerprint());
    if (!parsed) return parsed.error();
    parsed->name = version.expert;
    parsed->version = version.version;
    experts_.push_back(std::make_shared<const expert>(std::move(*parsed)));
  }
  versions_.clear();
  if (experts_.empty()) {
    return error{ec::invalid_argument, "a mixture of no experts"};
  }
  auto targets = experts_.front()->targets;
  for (const auto& e : experts_) targets = svf_targets::both(targets, e->targets);
  layout_ = std::make_shared<const svf_layout>(model.config(), targets);
  return {};
}

void expert_pool_job::build(const language_model& model) {
  const auto s = model.singular_values(*layout_);
  if (!s) {
    end(s.error());
    return;
  }
  auto pool = expert_pool::make(std::move(experts_), layout_, *s);
  if (!pool) {
    end(pool.error());
    return;
  }
  end(std::make_shared<const expert_pool>(std::move(*pool)));
}

bool expert_pool_job::end(
    result<std::shared_ptr<const expert_pool>> outcome) {
  outcome_ = std::move(outcome);
  return false;
}

}  // namespace t2
