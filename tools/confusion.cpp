#include "tools/confusion.hpp"

#include <algorithm>

#include "tools/evaluation.hpp"

namespace t2 {

std::size_t confusion_matrix::place(const std::string& label) {
  const auto known = std::ranges::find(labels_, label);
  if (known != labels_.end())
    return static_cast<std::size_t>(known - labels_.begin());
  labels_.push_back(label);
  for (auto& row : counts_) row.push_back(0);
  counts_.emplace_back(labels_.size(), 0);
  return labels_.size() - 1;
}

void confusion_matrix::add(const std::string& meant, const std::string& said,
                           std::uint64_t prompt) {
  const std::size_t row = place(meant), column = place(said);
  ++counts_[row][column];
  right_.push_back(meant == said ? 1 : 0);
  prompts_.push_back(prompt);
}

std::size_t confusion_matrix::total() const { return right_.size(); }

std::size_t confusion_matrix::count(const std::string& meant,
                                    const std::string& said) const {
  const auto row = std::ranges::find(labels_, meant);
  const auto column = std::ranges::find(labels_, said);
  if (row == labels_.end() || column == labels_.end()) return 0;
  return counts_[static_cast<std::size_t>(row - labels_.begin())]
                [static_cast<std::size_t>(column - labels_.begin())];
}

ordered_json confusion_matrix::form() const {
  ordered_json form = {{"labels", labels_}, {"matrix", counts_}};
  form.update(accuracy_form(right_, prompt_groups{prompts_}));
  return form;
}

confusion_matrix confusion_matrix::of_form(const ordered_json& form) {
  confusion_matrix out;
  const auto labels = form.at("labels").get<std::vector<std::string>>();
  for (std::size_t r = 0; r < labels.size(); ++r)
    for (std::size_t c = 0; c < labels.size(); ++c)
      for (auto n = form.at("matrix").at(r).at(c).get<std::size_t>(); n > 0;
           --n)
        out.add(labels[r], labels[c], out.total());
  return out;
}

table confusion_matrix::as_table() const {
  std::vector<table_column> columns{{"MEANT"}};
  for (const auto& label : labels_)
    columns.push_back({"SAID " + label, alignment::right});
  table rows(columns);
  for (std::size_t r = 0; r < labels_.size(); ++r) {
    std::vector<std::string> cells{labels_[r]};
    for (const auto n : counts_[r]) cells.push_back(std::to_string(n));
    rows.add_row(cells);
  }
  return rows;
}

}  // namespace t2
