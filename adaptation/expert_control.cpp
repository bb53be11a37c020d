#include "adaptation/expert_control.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/ones_like.h>

#include <map>
#include <utility>

#include "adaptation/random_stream.hpp"
#include "model/safetensors.hpp"

namespace t2 {

result<std::string> shuffled_blend(std::span<const weighted_file> parts,
                                   std::uint64_t seed) {
  if (parts.empty())
    return error{ec::invalid_argument, "control: expected experts, found none"};
  std::map<std::string, at::Tensor> blend;
  std::map<std::string, std::string> metadata;
  for (std::size_t k = 0; k < parts.size(); ++k) {
    const auto bytes = std::as_bytes(std::span{parts[k].file});
    const auto parsed = safetensors_file::parse({bytes.begin(), bytes.end()},
                                                "expert of the control");
    if (!parsed) return parsed.error();
    if (k == 0) metadata = parsed->metadata();
    for (const auto& view : parsed->tensors()) {
      const auto z = view.tensor();
      if (k == 0) blend[view.name] = at::ones_like(z);
      const auto known = blend.find(view.name);
      if (known == blend.end() || known->second.sizes() != z.sizes())
        return error{ec::invalid_argument,
                     "control: expected experts of the same projections, "
                     "found " + view.name + " in one alone"};
      known->second.add_((z - 1) * parts[k].alpha);
    }
  }
  random_stream random{seed};
  for (auto& [name, z] : blend) {
    auto* values = z.data_ptr<float>();
    for (auto i = static_cast<std::uint64_t>(z.numel()); i > 1; --i)
      std::swap(values[i - 1], values[random.below(i)]);
  }
  const auto out = serialise_safetensors(blend, metadata);
  if (!out) return out.error();
  return std::string(reinterpret_cast<const char*>(out->data()), out->size());
}

}  // namespace t2
