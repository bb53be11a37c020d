#include "adaptation/training_curves.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "config/durable_file.hpp"

namespace t2 {
namespace {

using nlohmann::ordered_json;

constexpr std::size_t most_bytes = std::size_t{256} << 20;
constexpr double panel_width = 640, panel_height = 150;
constexpr double left = 70, right = 20, top = 26, bottom = 34;

struct curve {
  const char* member;
  const char* label;
  bool of_step = true;  // else of a validation, and known before any step
};
constexpr curve curves[] = {
    {"reward", "reward (mean of a step)"},
    {"validation_reward", "validation reward (greedy)", false},
    {"kl", "KL to the base (nats an answer)"},
    {"length", "answer length (tokens)"},
    {"loss", "loss"},
    {"validation_loss", "validation loss", false},
    {"gradient_norm", "gradient norm"},
    {"learning_rate", "learning rate"},
};

struct point {
  double x, y;
};

std::string text_of(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

/// 1, 2 or 5 times a power of ten, about a `parts`-th of the range.
double tick_step(double range, double parts) {
  const double raw = range / parts;
  const double unit = std::pow(10, std::floor(std::log10(raw)));
  for (const double times : {1.0, 2.0, 5.0})
    if (raw <= times * unit) return times * unit;
  return 10 * unit;
}

std::vector<double> ticks(double low, double high, double parts) {
  const double step = tick_step(high - low, parts);
  std::vector<double> out;
  for (double i = std::ceil(low / step - 1e-9); i * step <= high + 1e-9 * step;
       ++i)
    out.push_back(i == 0 ? 0 : i * step);
  return out;
}

std::string line(double x1, double y1, double x2, double y2,
                 const char* colour) {
  return "<line x1=\"" + text_of(x1) + "\" y1=\"" + text_of(y1) + "\" x2=\"" +
         text_of(x2) + "\" y2=\"" + text_of(y2) + "\" stroke=\"" + colour +
         "\"/>\n";
}

std::string label(double x, double y, const char* anchor,
                  const std::string& text) {
  return "<text x=\"" + text_of(x) + "\" y=\"" + text_of(y) +
         "\" text-anchor=\"" + anchor + "\">" + text + "</text>\n";
}

std::string panel(const char* name, const std::vector<point>& points,
                  double begin) {
  double low = points.front().y, high = low, last = points.front().x;
  for (const auto& p : points) {
    low = std::min(low, p.y);
    high = std::max(high, p.y);
    last = std::max(last, p.x);
  }
  const double room = high > low ? 0.05 * (high - low)
                                 : std::max(1e-6, 0.1 * std::abs(high));
  low -= room;
  high += room;
  last = std::max(last, 1.0);
  const double x0 = left, x1 = panel_width - right;
  const double y0 = begin + panel_height - bottom, y1 = begin + top;
  const auto x_of = [&](double x) { return x0 + (x1 - x0) * x / last; };
  const auto y_of = [&](double y) {
    return y0 + (y1 - y0) * (y - low) / (high - low);
  };
  std::string out = label(x0, begin + top - 8, "start", name);
  for (const double y : ticks(low, high, 4)) {
    out += line(x0, y_of(y), x1, y_of(y), "#ddd");
    out += label(x0 - 6, y_of(y) + 4, "end", text_of(y));
  }
  for (const double x : ticks(0, last, 8)) {
    out += line(x_of(x), y0, x_of(x), y0 + 4, "#444");
    out += label(x_of(x), y0 + 16, "middle", text_of(x));
  }
  out += line(x0, y0, x1, y0, "#444") + line(x0, y0, x0, y1, "#444");
  out += label(x1, y0 + 30, "end", "step");
  out += "<polyline fill=\"none\" stroke=\"#1f5fa8\" points=\"";
  for (const auto& p : points)
    out += text_of(x_of(p.x)) + "," + text_of(y_of(p.y)) + " ";
  return out + "\"/>\n";
}

}  // namespace

std::string training_curves::svg(const std::vector<ordered_json>& reports) {
  std::string panels;
  double height = 0;
  for (const auto& c : curves) {
    std::vector<point> points;
    for (const auto& report : reports) {
      const auto value = report.find(c.member);
      if (value == report.end() || !value->is_number() ||
          (c.of_step && report.value("step", 0) == 0))
        continue;
      const double y = value->get<double>();
      if (std::isfinite(y)) points.push_back({report.value("step", 0.0), y});
    }
    if (points.empty()) continue;
    panels += panel(c.label, points, height);
    height += panel_height;
  }
  return "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" +
         text_of(panel_width) + "\" height=\"" + text_of(height) +
         "\" font-family=\"sans-serif\" font-size=\"11\">\n"
         "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n" +
         panels + "</svg>\n";
}

result<training_curves> training_curves::open(std::filesystem::path file) {
  training_curves out;
  out.file_ = std::move(file);
  if (out.file_.extension() == ".svg")
    return error{ec::invalid_argument,
                 out.file_.string() +
                     ": expected a name for JSONL, found one of the plot"};
  const auto text = read_file(out.file_, most_bytes);
  if (!text) {
    if (text.error().code == ec::not_found) return out;
    return text.error();
  }
  std::istringstream lines{*text};
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    auto report = ordered_json::parse(line, nullptr, false);
    if (!report.is_object() || !report.contains("step") ||
        !report["step"].is_number_integer())
      return error{ec::invalid_argument,
                   out.file_.string() + ":" + std::to_string(number) +
                       ": expected a line of a training's curves, found "
                       "another"};
    out.reports_.push_back(std::move(report));
  }
  return out;
}

void training_curves::add(const ordered_json& progress) {
  const auto step = progress.value("step", std::int64_t{0});
  if (!begun_) {
    begun_ = true;
    std::erase_if(reports_, [&](const auto& report) {
      return report.value("step", std::int64_t{0}) >= step;
    });
    std::string kept;
    for (const auto& report : reports_) kept += report.dump() + "\n";
    written_ = write_file_durably(file_, std::string_view{kept});
  }
  // A validation follows the report of its step.
  reports_.push_back(progress);
  if (!written_) return;
  std::ofstream out{file_, std::ios::app};
  out << progress.dump() << "\n" << std::flush;
  if (!out)
    written_ = error{ec::io, file_.string() + ": expected to write, could not"};
}

result<void> training_curves::finish() {
  if (!written_) return written_;
  auto plot = file_;
  plot.replace_extension(".svg");
  return write_file_durably(plot, std::string_view{svg(reports_)});
}

}  // namespace t2
