#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace t2 {

/// W [M, N] of a linear map of the base, in whatever form it is kept: the rows
/// of one projection, or of several that read the same input, behind each
/// other. A new way of keeping weights (quantised, say) is one more class.
/// Immutable; any thread.
class base_weight {
 public:
  virtual ~base_weight() = default;

  /// x_tn: [T, N] of the compute type → x Wᵀ, [T, M], the same type.
  virtual at::Tensor apply(const at::Tensor& x_tn) const = 0;
  /// One projection's matrix as the files have it, on the device: float32,
  /// bfloat16 or float16.
  virtual at::Tensor decode(std::size_t part) const = 0;
  /// What apply() reads, in memory of its own.
  virtual std::int64_t bytes() const = 0;
};

/// A matrix as stored, read from its file at every call.
using weight_reader = std::function<at::Tensor()>;

/// The matrices in the compute type on the device, packed for products
/// (linear_weight): the one copy that is kept. decode() reads again.
std::shared_ptr<const base_weight> make_dense_base(
    std::vector<weight_reader> parts_mn, c10::ScalarType dtype,
    c10::Device device);

}  // namespace t2
