#pragma once

#include <optional>
#include <string>

#include "config/result.hpp"

namespace t2 {

/// Lines of a file descriptor, until another one becomes readable.
class line_reader {
 public:
  line_reader(int descriptor, int interrupt)
      : descriptor_(descriptor), interrupt_(interrupt) {}

  /// The next line without its end; nothing at the end of input;
  /// ec::cancelled when interrupted.
  result<std::optional<std::string>> next();

 private:
  int descriptor_;
  int interrupt_;
  std::string rest_;
  bool ended_ = false;
};

}  // namespace t2
