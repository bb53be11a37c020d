#include "config/table.hpp"

#include <algorithm>

#include "config/terminal.hpp"

namespace t2 {
namespace {

constexpr std::size_t gap = 2;
constexpr std::size_t narrowest_cut = 8;

}  // namespace

table::table(std::vector<table_column> columns)
    : columns_(std::move(columns)) {}

void table::add_row(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  for (auto& cell : cells) cell = printable(cell);
  rows_.push_back(std::move(cells));
}

std::string table::print(std::size_t width) const {
  std::vector<std::vector<std::string>> lines;
  std::vector<std::string> titles;
  for (const auto& column : columns_) titles.push_back(column.title);
  if (std::any_of(titles.begin(), titles.end(),
                  [](const auto& title) { return !title.empty(); })) {
    lines.push_back(std::move(titles));
  }
  lines.insert(lines.end(), rows_.begin(), rows_.end());

  std::vector<std::size_t> widths(columns_.size(), 0);
  for (const auto& line : lines) {
    for (std::size_t c = 0; c < widths.size(); ++c) {
      widths[c] = std::max(widths[c], display_width(line[c]));
    }
  }
  if (width != 0 && !widths.empty()) {
    std::size_t before_last = 0;
    for (std::size_t c = 0; c + 1 < widths.size(); ++c) {
      before_last += widths[c] + gap;
    }
    const std::size_t left = width > before_last ? width - before_last : 0;
    widths.back() = std::min(widths.back(), std::max(left, narrowest_cut));
  }

  std::string out;
  for (const auto& line : lines) {
    std::string text;
    for (std::size_t c = 0; c < widths.size(); ++c) {
      const std::string cell = cut_to_width(line[c], widths[c]);
      const std::string space(widths[c] - display_width(cell), ' ');
      if (c > 0) text.append(gap, ' ');
      text +=
          columns_[c].align == alignment::right ? space + cell : cell + space;
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + '\n';
  }
  return out;
}

}  // namespace t2
