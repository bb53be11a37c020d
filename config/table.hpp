#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace t2 {

enum class alignment { left, right };

struct table_column {
  std::string title;
  alignment align = alignment::left;
};

/// Rows in aligned columns, two spaces apart, without a trailing blank; widths
/// count columns of the terminal, not bytes. Control characters print as `?`.
class table {
 public:
  explicit table(std::vector<table_column> columns);

  /// Missing cells are empty; cells beyond the columns are dropped.
  void add_row(std::vector<std::string> cells);

  std::size_t rows() const { return rows_.size(); }

  /// The titles (unless all are empty), then the rows, a line each. Where the
  /// lines would be wider than `width` (0: no limit) the last column is cut.
  std::string print(std::size_t width = 0) const;

 private:
  std::vector<table_column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace t2
