#include "adaptation/random_stream.hpp"

#include <cmath>
#include <numeric>
#include <utility>

namespace t2 {
namespace {

std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

}  // namespace

random_stream::random_stream(std::uint64_t seed, std::uint64_t stream)
    : state_(mix(seed + 0x9e3779b97f4a7c15u) ^
             mix(mix(stream + 0xd1b54a32d192ed03u))) {}

std::uint64_t random_stream::next() {
  state_ += 0x9e3779b97f4a7c15u;
  return mix(state_);
}

double random_stream::uniform() {
  return static_cast<double>(next() >> 11) * 0x1p-53;
}

// The sum of twelve uniforms would be exact everywhere but has no tails; the
// inverse distribution function by Wichura's AS 241 (PPND16) needs only
// arithmetic and one log and sqrt.
double random_stream::normal() {
  const double u = (static_cast<double>(next() >> 11) + 0.5) * 0x1p-53;
  const double q = u - 0.5;
  if (std::abs(q) <= 0.425) {
    const double r = 0.180625 - q * q;
    return q *
           (((((((2509.0809287301226727 * r + 33430.575583588128105) * r +
                 67265.770927008700853) * r + 45921.953931549871457) * r +
               13731.693765509461125) * r + 1971.5909503065514427) * r +
             133.14166789178437745) * r + 3.387132872796366608) /
           (((((((5226.495278852545925 * r + 28729.085735721942674) * r +
                 39307.89580009271061) * r + 21213.794301586595867) * r +
               5394.1960214247511077) * r + 687.1870074920579083) * r +
             42.313330701600911252) * r + 1);
  }
  double r = std::sqrt(-std::log(q < 0 ? u : 1 - u));
  double x = 0;
  if (r <= 5) {
    r -= 1.6;
    x = (((((((7.7454501427834140764e-4 * r + 0.0227238449892691845833) * r +
              0.24178072517745061177) * r + 1.27045825245236838258) * r +
            3.64784832476320460504) * r + 5.7694972214606914055) * r +
          4.6303378461565452959) * r + 1.42343711074968357734) /
        (((((((1.05075007164441684324e-9 * r + 5.475938084995344946e-4) * r +
              0.0151986665636164571966) * r + 0.14810397642748007459) * r +
            0.68976733498510000455) * r + 1.6763848301838038494) * r +
          2.05319162663775882187) * r + 1);
  } else {
    r -= 5;
    x = (((((((2.01033439929228813265e-7 * r + 2.71155556874348757815e-5) * r +
              0.0012426609473880784386) * r + 0.026532189526576123093) * r +
            0.29656057182850489123) * r + 1.7848265399172913358) * r +
          5.4637849111641143699) * r + 6.6579046435011037772) /
        (((((((2.04426310338993978564e-15 * r + 1.4215117583164458887e-7) * r +
              1.8463183175100546818e-5) * r + 7.868691311456132591e-4) * r +
            0.0148753612908506148525) * r + 0.13692988092273580531) * r +
          0.59983220655588793769) * r + 1);
  }
  return q < 0 ? -x : x;
}

std::uint64_t random_stream::below(std::uint64_t n) {
  const std::uint64_t unfair = (0 - n) % n;  // 2^64 mod n
  for (;;) {
    const std::uint64_t x = next();
    if (x >= unfair) return x % n;
  }
}

std::vector<std::size_t> random_stream::permutation(std::size_t n) {
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t i = n; i > 1; --i) std::swap(order[i - 1], order[below(i)]);
  return order;
}

}  // namespace t2
