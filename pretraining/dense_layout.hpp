#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "model/model_config.hpp"

namespace t2 {

/// Where each weight of a Llama without biases lies in one flat vector. Order:
/// embedding (also the head), then for each layer attention norm, q, k, v, o,
/// MLP norm, gate, up, down, then the last norm: q k v are one matrix, gate up
/// another. Immutable.
class dense_layout {
 public:
  struct weight {
    std::string name;  // as in a Hugging Face checkpoint
    std::vector<std::int64_t> shape;
    std::int64_t offset = 0;

    bool is_matrix() const { return shape.size() == 2; }
    std::int64_t size() const;
  };

  /// `config` has tied embeddings and no biases.
  explicit dense_layout(const model_config& config);

  const std::vector<weight>& weights() const { return weights_; }
  std::int64_t total() const { return total_; }

  std::int64_t embedding() const { return 0; }
  /// Place in weights() of the first of a layer's nine.
  std::size_t layer(std::int64_t l) const {
    return 1 + static_cast<std::size_t>(l) * 9;
  }
  std::size_t final_norm() const { return weights_.size() - 1; }

  /// A weight of `flat`, aliased.
  at::Tensor part(const at::Tensor& flat, std::size_t place) const;
  /// `count` neighbours of one width as one matrix, aliased.
  at::Tensor rows(const at::Tensor& flat, std::size_t place,
                  std::size_t count) const;
  /// All weights by name, aliased.
  std::map<std::string, at::Tensor> named(const at::Tensor& flat) const;

 private:
  std::vector<weight> weights_;
  std::int64_t total_ = 0;
};

}  // namespace t2
