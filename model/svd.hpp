#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>

#include "config/result.hpp"

namespace t2 {

// Shapes: m = out features, n = in features, r = min(m, n).

/// How a weight is decomposed. All end in the same check.
enum class svd_method : unsigned char {
  /// Eigenvectors of the smaller Gram matrix in float64: the default. Squaring
  /// costs half the digits, which float64 has to spare; weights too close to
  /// singular for that are left to gesdd64.
  gram64,
  gesdd,    // LAPACK's divide and conquer in float32
  gesdd64,  // the same in float64: slow, and right for every finite matrix
};

std::string_view to_string(svd_method method);
result<svd_method> parse_svd_method(std::string_view text);

/// What the check of a decomposition measured, by products with 16 random ±1
/// probe vectors (exact products would cost as much as a third of the
/// decomposition). E‖A x‖² over such probes is ‖A‖²_F.
struct svd_quality {
  /// ‖U diag(s) Vᵀ − W‖_F / ‖W‖_F, estimated; 0 for W = 0.
  double reconstruction = 0;
  /// The largest norm of a row of UᵀU − I, estimated: above every entry of it.
  double orthogonality_u = 0;
  double orthogonality_v = 0;

  /// Within what t2 accepts (`svd_tolerance`).
  bool acceptable() const;
};

struct svd_tolerance {
  static constexpr double reconstruction = 2e-6;
  static constexpr double orthogonality = 1e-5;
};

/// W = U diag(s) Vᵀ in float32, contiguous, s falling and never negative. The
/// entry of largest magnitude in each column of U is positive, which fixes the
/// signs.
struct svd_factors {
  at::Tensor u_mr;
  at::Tensor s_r;
  at::Tensor v_nr;
};

struct checked_svd {
  svd_factors factors;
  svd_method method = svd_method::gram64;  // the one that passed the check
  svd_quality quality;
};

/// Decomposes a weight of any float dtype on its device, and checks the result;
/// what fails the check is done again by gesdd64. Errors: invalid_argument for
/// what is no matrix or not finite, internal if not even gesdd64 passes.
result<checked_svd> decompose_checked(const at::Tensor& w_mn,
                                      svd_method method = svd_method::gram64);
/// The same without the findings.
result<svd_factors> decompose(const at::Tensor& w_mn,
                              svd_method method = svd_method::gram64);

/// Measures factors against the weight they came from.
svd_quality measure_svd(const at::Tensor& w_mn, const svd_factors& factors);

}  // namespace t2
