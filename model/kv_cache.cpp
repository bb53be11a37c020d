#include "model/kv_cache.hpp"

#include <ATen/ops/empty.h>
#include <c10/core/TensorOptions.h>

namespace t2 {
namespace {

// The attention kernel reads keys by sixteen, from any of them on.
std::int64_t padded(std::int64_t capacity) {
  return (capacity + 31) / 16 * 16;
}

}  // namespace

kv_sequence::~kv_sequence() { *used_ -= bytes_; }

kv_pool::kv_pool(const model_config& config, c10::ScalarType dtype,
                 c10::Device device, std::int64_t budget_bytes)
    : layers_(config.layers),
      kv_heads_(config.kv_heads),
      head_dim_(config.head_dim),
      dtype_(dtype),
      device_(device),
      budget_(budget_bytes),
      used_(std::make_shared<std::int64_t>(0)) {}

std::int64_t kv_pool::bytes_for(std::int64_t tokens) const {
  return layers_ * kv_heads_ * head_dim_ * (tokens + padded(tokens)) *
         static_cast<std::int64_t>(c10::elementSize(dtype_));
}

std::shared_ptr<kv_sequence> kv_pool::allocate(
    std::int64_t capacity, std::shared_ptr<kv_sequence> parent,
    std::int64_t start) {
  const auto bytes = bytes_for(capacity);
  if (*used_ + bytes > budget_) return nullptr;
  auto sequence = std::shared_ptr<kv_sequence>(new kv_sequence);
  const auto options = at::TensorOptions().dtype(dtype_).device(device_);
  sequence->used_ = used_;
  sequence->keys_lkdc_ =
      at::empty({layers_, kv_heads_, head_dim_, padded(capacity)}, options);
  sequence->values_lkcd_ =
      at::empty({layers_, kv_heads_, capacity, head_dim_}, options);
  sequence->start_ = start;
  sequence->capacity_ = capacity;
  sequence->bytes_ = bytes;
  sequence->parent_ = std::move(parent);
  *used_ += bytes;
  return sequence;
}

}  // namespace t2
