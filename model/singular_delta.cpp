#include "model/singular_delta.hpp"

#include <ATen/ops/isfinite.h>

#include "config/sha256.hpp"

namespace t2 {

result<std::shared_ptr<const singular_delta>> singular_delta::make(
    std::shared_ptr<const svf_layout> layout, at::Tensor d) {
  if (d.dim() != 1 || d.size(0) != layout->total())
    return error{ec::incompatible,
                 "singular delta: expected " + std::to_string(layout->total()) +
                     " entries for this base and its targets, found " +
                     std::to_string(d.numel())};
  d = d.to(at::kCPU).to(at::kFloat).contiguous();
  if (!d.isfinite().all().item<bool>())
    return error{ec::invalid_argument,
                 "singular delta: expected finite entries, found NaN or "
                 "infinity"};
  auto delta = std::shared_ptr<singular_delta>(new singular_delta);
  sha256 digest;
  const auto targets = layout->targets().text();
  digest.update(std::as_bytes(std::span{targets}));
  digest.update(std::as_bytes(std::span{
      d.const_data_ptr<float>(), static_cast<std::size_t>(d.numel())}));
  delta->digest_ = digest.hex();
  delta->layout_ = std::move(layout);
  delta->d_ = std::move(d);
  return std::shared_ptr<const singular_delta>{std::move(delta)};
}

at::Tensor singular_delta::of(std::size_t p) const {
  return d_.narrow(0, layout_->offset(p), layout_->projections()[p].rank());
}

}  // namespace t2
