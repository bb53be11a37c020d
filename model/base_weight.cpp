#include "model/base_weight.hpp"

#include <ATen/ops/cat.h>

#include <utility>

#include "model/linear_weight.hpp"

namespace t2 {
namespace {

linear_weight packed(const std::vector<weight_reader>& parts_mn,
                     c10::ScalarType dtype, c10::Device device) {
  std::vector<at::Tensor> ready;
  for (const auto& read : parts_mn) ready.push_back(read().to(device).to(dtype));
  return linear_weight{ready.size() == 1 ? ready.front() : at::cat(ready, 0)};
}

class dense_base : public base_weight {
 public:
  dense_base(std::vector<weight_reader> parts_mn, c10::ScalarType dtype,
             c10::Device device)
      : parts_mn_(std::move(parts_mn)),
        device_(device),
        packed_(packed(parts_mn_, dtype, device)) {}

  at::Tensor apply(const at::Tensor& x_tn) const override {
    return packed_.apply(x_tn);
  }
  at::Tensor decode(std::size_t part) const override {
    return parts_mn_[part]().to(device_);
  }
  std::int64_t bytes() const override { return packed_.bytes(); }

 private:
  std::vector<weight_reader> parts_mn_;
  c10::Device device_;
  linear_weight packed_;
};

}  // namespace

std::shared_ptr<const base_weight> make_dense_base(
    std::vector<weight_reader> parts_mn, c10::ScalarType dtype,
    c10::Device device) {
  return std::make_shared<dense_base>(std::move(parts_mn), dtype, device);
}

}  // namespace t2
