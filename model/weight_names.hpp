#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/model_config.hpp"

namespace t2 {

/// How a weight lies in the tensor that a family stores it in. Rows are
/// outputs.
enum class stored_as : std::uint8_t {
  itself,
  transposed,  // [in, out]
  query,       // q, k and v are rows of one tensor, in this order
  key,
  value,
  transposed_query,  // the same, [in, out]
  transposed_key,
  transposed_value,
  /// q, k and v of a head together: [heads, 3, head_dim] rows.
  query_by_head,
  key_by_head,
  value_by_head,
  gate,  // gate and up are rows of one tensor, in this order
  up,
  /// Rows i and i + head_dim / 2 of a head, which are rotated together, lie next
  /// to each other: [heads, head_dim / 2, 2] rows.
  rotated_pairs
};

/// Under what name a family stores the weights that t2 calls by Llama's names.
/// `{}` stands for the layer's number; `.weight` and `.bias` are left out and
/// kept.
struct weight_name {
  std::string_view canonical, stored;
  stored_as how = stored_as::itself;
};

/// The tensor that holds a weight, and which part of it that is.
struct stored_weight {
  std::string name;
  stored_as how = stored_as::itself;
  std::string other_name = {};  // where there is none of that name; or ""
};

/// By what names a family's files call its weights; what no rule names is
/// called as here.
class weight_names {
 public:
  weight_names() = default;
  /// Files of a model without its head leave `prefix` out.
  explicit weight_names(std::vector<weight_name> rules,
                        std::string_view prefix = {})
      : rules_(std::move(rules)), prefix_(prefix) {}

  stored_weight find(std::string_view canonical) const;

 private:
  std::vector<weight_name> rules_;
  std::string_view prefix_;
};

/// Rows [begin, begin + count) of the stored tensor, in the outputs' order
/// there; `whole`: the stored tensor's rows.
struct stored_rows {
  std::int64_t begin = 0, count = 0, whole = 0;
};
bool is_transposed(stored_as how);
bool is_by_head(stored_as how);
/// `rows`: the weight's own. Not for those by head.
stored_rows rows_of(stored_as how, std::int64_t rows,
                    const model_config& config);

}  // namespace t2
