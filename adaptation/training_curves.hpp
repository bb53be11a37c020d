#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "config/result.hpp"

namespace t2 {

/// The curves of a training run: a JSONL file with a line for each report
/// (docs/formats.md), and a plot beside it. A run that goes on from its
/// checkpoint writes on where the lines of its step end. One thread.
class training_curves {
 public:
  /// Reads what an earlier part of the run has left. ec::invalid_argument: a
  /// file that is something else.
  static result<training_curves> open(std::filesystem::path file);

  /// A report: step, loss, ...; replaces the lines of this step and later ones
  /// of an earlier part.
  void add(const nlohmann::ordered_json& progress);
  /// Writes the plot; an error that add() had comes out here.
  result<void> finish();

  /// The plot of some reports: SVG, one panel a curve.
  static std::string svg(const std::vector<nlohmann::ordered_json>& reports);

 private:
  std::filesystem::path file_;
  std::vector<nlohmann::ordered_json> reports_;
  bool begun_ = false;
  result<void> written_;
};

}  // namespace t2
