#pragma once

#include <memory>
#include <numeric>

#include "model/kernels.hpp"
#include "model/kv_store.hpp"
#include "model/transformer.hpp"

namespace t2 {

/// Rows that each have room for as many positions, the pages of one behind those
/// of the other: for who knows beforehand what is computed.
class kv_rows {
 public:
  kv_rows(const transformer& net, std::int64_t positions, std::int64_t rows = 1)
      : pages_(kv_pages(positions)), store_(net.make_store(rows * pages_)) {}

  /// Tokens [begin, end) of a step are those of a row from `position` on.
  kernels::attention_span span(std::int64_t begin, std::int64_t end,
                               std::int64_t position = 0,
                               std::int64_t row = 0) const {
    kernels::attention_span out{begin, end, position, {}};
    out.pages.resize(static_cast<std::size_t>(pages_));
    std::iota(out.pages.begin(), out.pages.end(),
              static_cast<page_id>(row * pages_));
    return out;
  }
  kv_store& store() { return *store_; }

 private:
  std::int64_t pages_;
  std::unique_ptr<kv_store> store_;
};

}  // namespace t2
