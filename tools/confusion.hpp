#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "config/table.hpp"
#include "http/json.hpp"

namespace t2 {

/// How often queries of one class were taken for another.
class confusion_matrix {
 public:
  /// Classes keep the order in which they are first heard of. `prompt`: its
  /// hash; copies count as one in the share that is right.
  void add(const std::string& meant, const std::string& said,
           std::uint64_t prompt);

  std::size_t total() const;
  std::size_t count(const std::string& meant, const std::string& said) const;
  const std::vector<std::string>& labels() const { return labels_; }
  /// 1 for each query that was said right, else 0, in order.
  const std::vector<double>& right() const { return right_; }

  /// {"labels", "matrix": rows of what was meant, "count", "accuracy",
  /// "interval"}.
  ordered_json form() const;
  static confusion_matrix of_form(const ordered_json& form);
  /// A row for each class that was meant.
  table as_table() const;

 private:
  std::size_t place(const std::string& label);
  std::vector<std::string> labels_;
  std::vector<std::vector<std::size_t>> counts_;  // [meant][said]
  std::vector<double> right_;
  std::vector<std::uint64_t> prompts_;  // of each query
};

}  // namespace t2
