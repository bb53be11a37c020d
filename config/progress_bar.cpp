#include "config/progress_bar.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include "config/duration.hpp"
#include "config/terminal.hpp"

namespace t2 {
namespace {

constexpr auto redraw_after = std::chrono::milliseconds(100);
constexpr std::size_t bar_columns = 24;

std::string decimal(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), value < 10 ? "%.1f" : "%.0f", value);
  return text.data();
}

}  // namespace

progress_bar::progress_bar(std::ostream& out, settings chosen)
    : out_(out), settings_(std::move(chosen)), started_(settings_.now()) {}

progress_bar::~progress_bar() {
  finish();
}

void progress_bar::show(std::size_t done, std::string_view note) {
  if (!settings_.live || finished_) return;
  if (!counted_) first_ = done;
  counted_ = true;
  const auto now = settings_.now();
  const bool last = settings_.total != 0 && done >= settings_.total;
  if (drawn_ && !last && now - drawn_at_ < redraw_after) return;
  drawn_at_ = now;
  drawn_ = true;
  draw(done, note);
}

void progress_bar::draw(std::size_t done, std::string_view note) {
  std::string line = settings_.label;
  if (!line.empty()) line += "  ";
  if (settings_.total != 0) {
    const std::size_t filled =
        bar_columns * std::min(done, settings_.total) / settings_.total;
    line += '[' + std::string(filled, '#') +
            std::string(bar_columns - filled, '.') + "] " +
            std::to_string(done) + '/' + std::to_string(settings_.total);
  } else {
    line += std::to_string(done);
  }
  if (!settings_.unit.empty()) line += ' ' + settings_.unit;

  const std::chrono::duration<double> spent = drawn_at_ - started_;
  if (done > first_ && spent.count() > 0) {
    const double rate = static_cast<double>(done - first_) / spent.count();
    line += "  " + decimal(rate) + "/s";
    if (settings_.total > done) {
      const std::chrono::duration<double> left(
          static_cast<double>(settings_.total - done) / rate);
      line += "  " + approximate_duration(left) + " left";
    }
  }
  if (!note.empty()) line += "  " + printable(note);
  // A line as wide as the terminal would wrap, and \r not come back.
  line = cut_to_width(line, settings_.width > 1 ? settings_.width - 1 : 1);
  out_ << '\r' << line << "\x1b[K" << std::flush;
}

void progress_bar::finish() {
  if (drawn_ && !finished_) out_ << '\n' << std::flush;
  finished_ = true;
}

}  // namespace t2
