#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <atomic>
#include <cstdint>
#include <memory>

#include "config/result.hpp"
#include "model/model_config.hpp"

namespace t2 {

class kv_pool;

/// Keys and values of the tokens [start, start + capacity) of one sequence. A
/// sequence may continue another one (`parent`), whose tokens [0, start) it
/// shares: several answers to one prompt keep its keys once.
///
/// Keys are stored transposed, so that the scores of neighbouring keys are
/// neighbours in memory: keys_lkdc is [layers, kv heads, head dim, capacity and some padding],
/// values_lkcd [layers, kv heads, capacity, head dim].
class kv_sequence {
 public:
  ~kv_sequence();
  kv_sequence(const kv_sequence&) = delete;
  kv_sequence& operator=(const kv_sequence&) = delete;

  std::int64_t start() const { return start_; }
  std::int64_t capacity() const { return capacity_; }
  const kv_sequence* parent() const { return parent_.get(); }
  at::Tensor& keys_lkdc() { return keys_lkdc_; }
  const at::Tensor& keys_lkdc() const { return keys_lkdc_; }
  at::Tensor& values_lkcd() { return values_lkcd_; }
  const at::Tensor& values_lkcd() const { return values_lkcd_; }

 private:
  friend class kv_pool;
  kv_sequence() = default;
  std::int64_t start_ = 0;
  std::int64_t capacity_ = 0;
  std::int64_t bytes_ = 0;
  std::shared_ptr<kv_sequence> parent_;
  std::shared_ptr<std::int64_t> used_;
  at::Tensor keys_lkdc_, values_lkcd_;
};

/// Hands out sequences under a budget of bytes. One thread.
class kv_pool {
 public:
  kv_pool(const model_config& config, c10::ScalarType dtype, c10::Device device,
          std::int64_t budget_bytes);

  std::int64_t bytes_for(std::int64_t tokens) const;
  std::int64_t bytes_used() const { return *used_; }
  std::int64_t budget_bytes() const { return budget_; }

  /// Room for `capacity` tokens after the first `start` tokens, which are those
  /// of `parent` (null: start = 0). Null when the budget does not allow it.
  std::shared_ptr<kv_sequence> allocate(
      std::int64_t capacity, std::shared_ptr<kv_sequence> parent = nullptr,
      std::int64_t start = 0);

 private:
  std::int64_t layers_, kv_heads_, head_dim_;
  c10::ScalarType dtype_;
  c10::Device device_;
  std::int64_t budget_;
  std::shared_ptr<std::int64_t> used_;
};

}  // namespace t2
