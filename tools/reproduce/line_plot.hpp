#pragma once

#include <string>
#include <utility>
#include <vector>

namespace t2::reproduce {

struct plot_series {
  std::string name;
  std::vector<std::pair<double, double>> points;
};

struct plot_frame {
  std::string title, x_label, y_label;
  double low = 0, high = 1;  // of y
};

/// Lines with their points over a common x, as SVG; the places on x are the
/// different values, evenly spaced (they are counts that double).
std::string line_plot(const plot_frame& frame,
                      const std::vector<plot_series>& series);

}  // namespace t2::reproduce
