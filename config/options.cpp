#include "config/options.hpp"

#include <algorithm>
#include <set>

namespace t2 {
namespace {

error wrong(std::string message) {
  return {ec::invalid_argument, std::move(message)};
}

}  // namespace

result<void> runtime_options::validate() const {
  for (const auto& entry : option_table()) {
    if (auto fine = check_option(entry.declared, entry.get(*this)); !fine) {
      return wrong(entry.declared.name + ": " + fine.error().message);
    }
  }
  if (search.folds == 1) {
    return wrong(
        "search.folds: expected 0 (leave one out) or at least 2, found '1'");
  }
  if (search.survivors > search.population) {
    return wrong("search.survivors: expected at most search.population (" +
                 std::to_string(search.population) + "), found '" +
                 std::to_string(search.survivors) + "'");
  }
  std::set<std::string> distinct;  // "name: description"
  for (const std::string& label : route.labels)
    distinct.insert(label.substr(0, label.find(':')));
  if (distinct.size() != route.labels.size()) {
    return wrong("route.labels: expected labels that differ, found one twice");
  }
  if (route.strategy == "classifier" && route.classifier.empty()) {
    return wrong(
        "route.strategy: expected route.classifier to name the expert that "
        "classifies, found it empty");
  }
  if (distinct.contains("other")) {
    return wrong(
        "route.labels: expected no label 'other', which always exists and "
        "means the base");
  }
  return {};
}

std::vector<option_report> report_options(const loaded_options& loaded) {
  std::vector<option_report> rows;
  const auto& table = option_table();
  for (std::size_t i = 0; i < table.size(); ++i) {
    rows.push_back(
        {.name = table[i].declared.name,
         .value = print_option(table[i].declared, table[i].get(loaded.values)),
         .origin = i < loaded.origins.size() ? loaded.origins[i].where
                                             : option_origin().where});
  }
  return rows;
}

}  // namespace t2
