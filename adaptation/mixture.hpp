#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "adaptation/query.hpp"
#include "config/result.hpp"

namespace t2 {

/// How the experts of a mixture combine. A mixture records it, because stored
/// α live for ever.
enum class mixture_rule : std::uint8_t {
  delta,  // e' = Σ α_k e_k: α = 0 is the base, Σα ≠ 1 rescales nothing
  paper,  // z' = Σ α_k z_k for each projection, then ν
};

std::string_view to_string(mixture_rule rule);
result<mixture_rule> parse_mixture_rule(std::string_view text);

/// Experts of one base with their shares. No components: the base.
struct mixture {
  mixture_rule rule = mixture_rule::delta;
  std::vector<mixture_component> components;

  bool is_base() const { return components.empty(); }
};

/// {"rule": "delta", "components": [{"expert", "version", "alpha": [..]}]}.
std::string to_json(const mixture& m);
/// ec::corrupt on anything else; α are finite, all of one length ≥ 1.
result<mixture> parse_mixture(std::string_view json);

mixture_summary summary(const mixture& m);

}  // namespace t2
