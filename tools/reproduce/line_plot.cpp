#include "tools/reproduce/line_plot.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <set>

namespace t2::reproduce {
namespace {

constexpr double width = 640, height = 320;
constexpr double left = 60, right = 170, top = 36, bottom = 48;
constexpr std::array colours{"#1f5fa8", "#b5462f", "#3b8a3e", "#7a4fa3",
                             "#8a6d1b"};

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

std::string text(double x, double y, const char* anchor,
                 const std::string& words) {
  return "<text x=\"" + number(x) + "\" y=\"" + number(y) +
         "\" text-anchor=\"" + anchor + "\">" + words + "</text>\n";
}

std::string line(double x1, double y1, double x2, double y2,
                 const char* colour) {
  return "<line x1=\"" + number(x1) + "\" y1=\"" + number(y1) + "\" x2=\"" +
         number(x2) + "\" y2=\"" + number(y2) + "\" stroke=\"" + colour +
         "\"/>\n";
}

}  // namespace

std::string line_plot(const plot_frame& frame,
                      const std::vector<plot_series>& series) {
  std::set<double> values;
  for (const auto& one : series)
    for (const auto& [x, y] : one.points) values.insert(x);
  const std::vector<double> places(values.begin(), values.end());
  const auto x_of = [&](double x) {
    const auto at = static_cast<double>(
        std::ranges::lower_bound(places, x) - places.begin());
    const auto steps =
        static_cast<double>(std::max<std::size_t>(1, places.size() - 1));
    return left + (width - left - right) * at / steps;
  };
  const auto y_of = [&](double y) {
    return height - bottom -
           (height - top - bottom) * (y - frame.low) / (frame.high - frame.low);
  };
  std::string out = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" +
                    number(width) + "\" height=\"" + number(height) +
                    "\" font-family=\"sans-serif\" font-size=\"11\">\n"
                    "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  out += text(left, 18, "start", frame.title);
  for (int i = 0; i <= 5; ++i) {
    const double y = frame.low + (frame.high - frame.low) * i / 5;
    out += line(left, y_of(y), width - right, y_of(y), "#ddd");
    out += text(left - 6, y_of(y) + 4, "end", number(y));
  }
  for (const double x : places)
    out += text(x_of(x), height - bottom + 16, "middle", number(x));
  out += text((left + width - right) / 2, height - 10, "middle", frame.x_label);
  out += text(left, 32, "start", frame.y_label);
  for (std::size_t s = 0; s < series.size(); ++s) {
    const char* colour = colours[s % colours.size()];
    std::string corners;
    for (const auto& [x, y] : series[s].points) {
      corners += number(x_of(x)) + "," + number(y_of(y)) + " ";
      out += "<circle cx=\"" + number(x_of(x)) + "\" cy=\"" +
             number(y_of(y)) + "\" r=\"3\" fill=\"" + colour + "\"/>\n";
    }
    out += "<polyline fill=\"none\" stroke=\"" + std::string{colour} +
           "\" points=\"" + corners + "\"/>\n";
    const double y = top + 16 * static_cast<double>(s);
    out += line(width - right + 12, y, width - right + 32, y, colour);
    out += text(width - right + 38, y + 4, "start", series[s].name);
  }
  return out + "</svg>\n";
}

}  // namespace t2::reproduce
