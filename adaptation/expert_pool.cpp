#include "adaptation/expert_pool.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>

#include <cmath>
#include <string>
#include <utility>

#include "adaptation/random_stream.hpp"
#include "adaptation/svf.hpp"

namespace t2 {
namespace {

std::string label(const expert& e) {
  return e.name + "@" + std::to_string(e.version);
}

error mismatch(const expert& a, const expert& b, const std::string& what,
               std::string_view expected, std::string_view found) {
  return {ec::incompatible, "experts " + label(a) + " and " + label(b) +
                                ": expected one " + what + ", found " +
                                std::string{expected} + " and " +
                                std::string{found}};
}

result<void> go_together(const expert& a, const expert& b) {
  if (a.base != b.base) return mismatch(a, b, "base", a.base, b.base);
  if (a.norm != b.norm)
    return mismatch(a, b, "norm", to_string(a.norm), to_string(b.norm));
  return {};
}

/// z of an expert over a layout that may adapt more.
result<at::Tensor> spread(const expert& e, const svf_layout& onto) {
  if (e.targets == onto.targets()) return e.z;
  auto z = at::ones({onto.total()}, at::kFloat);
  std::int64_t from = 0;
  for (std::size_t p = 0; p < onto.size(); ++p) {
    const auto& where = onto.projections()[p];
    if (!e.targets.contain(where)) continue;
    const auto rank = where.rank();
    if (from + rank <= e.z.numel())
      z.narrow(0, onto.offset(p), rank).copy_(e.z.narrow(0, from, rank));
    from += rank;
  }
  if (from == e.z.numel()) return z;
  return error{ec::incompatible,
               "expert " + label(e) + ": expected targets among " +
                   onto.targets().text() + ", found " + e.targets.text()};
}

}  // namespace

result<expert_pool> expert_pool::make(std::vector<expert_ref> experts,
                                      std::shared_ptr<const svf_layout> layout,
                                      const at::Tensor& singular_values) {
  if (experts.empty())
    return error{ec::invalid_argument, "mixture: expected an expert, found none"};
  std::vector<at::Tensor> zs, changes;
  for (const expert_ref& e : experts) {
    if (auto fits = go_together(*experts.front(), *e); !fits)
      return fits.error();
    auto z = spread(*e, *layout);
    if (!z) return z.error();
    auto change = relative_change(*z, singular_values, e->norm, *layout);
    if (!change)
      return error{change.error().code,
                   "expert " + label(*e) + ": " + change.error().message};
    zs.push_back(*std::move(z));
    changes.push_back(*std::move(change));
  }
  expert_pool pool;
  pool.experts_ = std::move(experts);
  pool.layout_ = std::move(layout);
  pool.s_ = singular_values.contiguous();
  pool.z_ = at::stack(zs);
  pool.e_ = at::stack(changes);
  return pool;
}

result<delta_ref> expert_pool::compose(mixture_rule rule,
                                       std::span<const float> alpha) const {
  const std::size_t experts = experts_.size();
  const std::size_t projections = layout_->size();
  const bool shared = alpha.size() == experts;
  if (!shared && alpha.size() != experts * projections)
    return error{ec::invalid_argument,
                 "alpha: expected " + std::to_string(experts) + " or " +
                     std::to_string(experts * projections) +
                     " entries, found " + std::to_string(alpha.size())};
  for (const float a : alpha)
    if (!std::isfinite(a))
      return error{ec::invalid_argument, "alpha: expected finite entries"};

  // Σ_k α_k e_k under delta, Σ_k α_k z_k under paper, in float64.
  at::Tensor combined = at::empty({layout_->total()}, at::kFloat);
  auto* out = combined.mutable_data_ptr<float>();
  std::vector<const float*> vectors;
  for (std::size_t k = 0; k < experts; ++k)
    vectors.push_back((rule == mixture_rule::delta ? e_ : z_)
                          .const_data_ptr<float>() +
                      static_cast<std::int64_t>(k) * layout_->total());
  const float* s = s_.const_data_ptr<float>();
  bool changes = false;
  for (std::size_t p = 0; p < projections; ++p) {
    const std::int64_t begin = layout_->offset(p);
    const std::int64_t end = begin + layout_->projections()[p].rank();
    for (std::int64_t i = begin; i < end; ++i) {
      double sum = 0;
      for (std::size_t k = 0; k < experts; ++k) {
        const float a = alpha[shared ? k : k * projections + p];
        sum += double{a} * double{vectors[k][i]};
      }
      if (rule == mixture_rule::delta) sum *= double{s[i]};
      out[i] = static_cast<float>(sum);
      changes = changes || out[i] != 0;
    }
  }
  if (rule == mixture_rule::paper) {
    auto d = delta_from_z(combined, s_, experts_.front()->norm, *layout_);
    if (!d) return d.error();
    combined = *std::move(d);
  } else if (!changes) {
    return delta_ref{};
  }
  return singular_delta::make(layout_, std::move(combined));
}

result<delta_ref> expert_pool::compose(const mixture& m) const {
  if (m.is_base()) return delta_ref{};
  const std::size_t width = m.components.front().alpha.size();
  std::vector<float> alpha(experts_.size() * width, 0.0f);
  for (const mixture_component& c : m.components) {
    std::size_t k = 0;
    while (k < experts_.size() && (experts_[k]->name != c.expert ||
                                   experts_[k]->version != c.version))
      ++k;
    if (k == experts_.size())
      return error{ec::not_found, "mixture: no expert " + c.expert + "@" +
                                      std::to_string(c.version)};
    if (c.alpha.size() != width)
      return error{ec::invalid_argument,
                   "mixture: expected " + std::to_string(width) +
                       " alpha of " + c.expert + ", found " +
                       std::to_string(c.alpha.size())};
    for (std::size_t p = 0; p < width; ++p)
      alpha[k * width + p] += c.alpha[p];
  }
  return compose(m.rule, alpha);
}

delta_ref expert_pool::control_of(const singular_delta& delta,
                                  std::uint64_t seed) const {
  random_stream random{seed};
  at::Tensor d = delta.d().to(at::kCPU).clone();
  auto* values = d.mutable_data_ptr<float>();
  const float* s = s_.const_data_ptr<float>();
  for (std::size_t p = 0; p < layout_->size(); ++p) {
    const std::int64_t begin = layout_->offset(p);
    const auto rank =
        static_cast<std::size_t>(layout_->projections()[p].rank());
    std::vector<float> steps(rank);
    for (std::size_t i = 0; i < rank; ++i) {
      const auto at = begin + static_cast<std::int64_t>(i);
      steps[i] = s[at] > 0 ? values[at] / s[at] : 0;
    }
    // Sattolo's: one cycle, so that no step stays where it was.
    for (std::size_t i = rank; i-- > 1;)
      std::swap(steps[i], steps[random.below(i)]);
    for (std::size_t i = 0; i < rank; ++i) {
      const auto at = begin + static_cast<std::int64_t>(i);
      values[at] = s[at] * steps[i];
    }
  }
  // A permutation of a sound delta is sound.
  return *singular_delta::make(layout_, std::move(d));
}

mixture expert_pool::describe(mixture_rule rule,
                              std::span<const float> alpha) const {
  mixture m{.rule = rule, .components = {}};
  const std::size_t width = alpha.size() / experts_.size();
  for (std::size_t k = 0; k < experts_.size(); ++k) {
    const auto part = alpha.subspan(k * width, width);
    bool used = rule == mixture_rule::paper;
    for (const float a : part) used = used || a != 0;
    if (used)
      m.components.push_back({experts_[k]->name, experts_[k]->version,
                              {part.begin(), part.end()}});
  }
  return m;
}

}  // namespace t2
