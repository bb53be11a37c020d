#include "tools/answer_text.hpp"

#include <cstdio>
#include <vector>

#include "config/table.hpp"
#include "config/terminal.hpp"
#include "tools/mixture_text.hpp"

namespace t2 {
namespace {

constexpr std::size_t most_printed_classes = 8;

std::string quoted(const ordered_json& text) {
  return "'" + printable(text.get<std::string>()) + "'";
}

std::string of_one(const ordered_json& share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", share.get<double>());
  return text;
}

std::string said_text(const ordered_json& report) {
  std::string text;
  std::size_t told = 0;
  for (const auto& one : report.at("common")) {
    const auto count = one.at("count").get<std::size_t>();
    text += (text.empty() ? "" : ", ") + quoted(one.at("answer")) + " " +
            std::to_string(count);
    told += count;
  }
  const auto all = report.at("answers").get<std::size_t>();
  if (all > told) text += ", " + std::to_string(all - told) + " others";
  return text + " of " + std::to_string(all);
}

std::string constant_text(const std::string& who,
                          const ordered_json& constant) {
  const std::string always = "always answering " + quoted(constant.at("answer"));
  std::string text = always + " earns " + number_text(constant.at("reward"));
  if (!constant.contains("as_good")) return text + "\n";
  const auto& gain = constant.at("gain");
  text += "; " + who + " " + number_text(gain.at("mean")) +
          " more than a constant chosen on other prompts, 95 % interval " +
          number_text(gain.at("low")) + " to " + number_text(gain.at("high")) +
          "\n";
  if (constant.at("as_good").get<bool>())
    text += who + " is no better than " + always + "\n";
  return text;
}

std::string confusion_text(const ordered_json& report) {
  const auto& classes = report.at("classes");
  if (classes.size() > most_printed_classes) return {};
  std::vector<table_column> columns{{"MEANT"}};
  for (const auto& one : classes)
    columns.push_back({"SAID " + printable(one.at("class").get<std::string>()),
                       alignment::right});
  for (const char* title : {"SAID ELSE", "N", "PRECISION", "RECALL"})
    columns.push_back({title, alignment::right});
  table rows(columns);
  for (std::size_t i = 0; i < classes.size(); ++i) {
    const auto& one = classes.at(i);
    std::vector<std::string> cells{one.at("class")};
    for (const auto& n : report.at("confusion").at(i))
      cells.push_back(number_text(n));
    cells.push_back(number_text(one.at("count")));
    cells.push_back(of_one(one.at("precision")));
    cells.push_back(of_one(one.at("recall")));
    rows.add_row(cells);
  }
  return rows.print();
}

}  // namespace

std::string answer_text(const std::string& who, const ordered_json& report) {
  std::string text = who + " says " + said_text(report) + "\n";
  if (report.contains("constant"))
    text += constant_text(who, report.at("constant"));
  if (report.contains("classes")) text += confusion_text(report);
  return text;
}

}  // namespace t2
