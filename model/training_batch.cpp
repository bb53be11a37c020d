#include "model/training_batch.hpp"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <string>

namespace t2 {

result<void> check(const training_row& row, std::int64_t vocabulary,
                   std::int64_t longest) {
  const auto size = static_cast<std::int64_t>(row.tokens.size());
  if (row.answer_begin < 1 || row.answer_begin >= row.tokens.size())
    return error{ec::invalid_argument,
                 "training row: expected an answer after at least one token, "
                 "found it at " +
                     std::to_string(row.answer_begin) + " of " +
                     std::to_string(size)};
  if (size > longest)
    return error{ec::invalid_argument, "training row: expected at most " +
                                           std::to_string(longest) +
                                           " tokens, found " +
                                           std::to_string(size)};
  if (row.weights.size() != row.tokens.size() - row.answer_begin)
    return error{ec::invalid_argument,
                 "training row: expected one weight for each answer token"};
  for (const auto token : row.tokens)
    if (token < 0 || token >= vocabulary)
      return error{ec::invalid_argument,
                   "training row: expected token ids below " +
                       std::to_string(vocabulary) + ", found " +
                       std::to_string(token)};
  return {};
}

std::vector<std::vector<std::size_t>> make_passes(
    std::span<const training_row> rows, std::int64_t tokens_per_pass) {
  std::vector<std::size_t> order(rows.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::greater{}, [&](std::size_t i) {
    return rows[i].tokens.size();
  });
  std::vector<std::vector<std::size_t>> passes;
  std::int64_t length = 0;  // of the pass under way
  for (const auto i : order) {
    if (passes.empty() ||
        length * static_cast<std::int64_t>(passes.back().size() + 1) >
            tokens_per_pass) {
      passes.emplace_back();
      length = static_cast<std::int64_t>(rows[i].tokens.size()) - 1;
    }
    passes.back().push_back(i);
  }
  return passes;
}

packed_rows pack(std::span<const training_row> rows,
                 std::span<const std::size_t> chosen, c10::Device device) {
  std::size_t longest = 0;
  for (const auto i : chosen)
    longest = std::max(longest, rows[i].tokens.size());
  const auto length = static_cast<std::int64_t>(longest) - 1;
  const auto ids = at::zeros(
      {static_cast<std::int64_t>(chosen.size()), length}, at::kLong);
  std::vector<std::int64_t> places, targets;
  packed_rows out;
  auto* line = ids.data_ptr<std::int64_t>();
  std::int64_t begin = 0;
  for (const auto r : chosen) {
    const auto& row = rows[r];
    std::copy(row.tokens.begin(), row.tokens.end() - 1, line + begin);
    for (auto i = row.answer_begin; i < row.tokens.size(); ++i) {
      places.push_back(begin + static_cast<std::int64_t>(i) - 1);
      targets.push_back(row.tokens[i]);
      out.weights.push_back(row.weights[i - row.answer_begin]);
      out.kl_weights.push_back(row.kl_weight);
      out.owners.push_back(r);
    }
    begin += length;
  }
  const auto tensor = [&](auto& values, at::ScalarType type) {
    return at::from_blob(values.data(),
                         {static_cast<std::int64_t>(values.size())}, type)
        .clone()
        .to(device);
  };
  out.ids_bl = ids.to(device);
  out.place_a = tensor(places, at::kLong);
  out.target_a = tensor(targets, at::kLong);
  out.weight_a = tensor(out.weights, at::kFloat);
  return out;
}

}  // namespace t2
