#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "config/result.hpp"
#include "http/json.hpp"

namespace t2 {

/// The answers of a replay or an evaluation: a JSONL file that only grows, one
/// line for each id and, where lines have one, target.
/// A line is written with one call, so a kill leaves at most the last one torn;
/// opening cuts that off. One process at a time (flock); one thread.
class answer_log {
 public:
  /// Creates the file where there is none. ec::busy when another process has
  /// it, ec::corrupt when a line before the last is not JSON with an id.
  static result<answer_log> open(const std::filesystem::path& file);

  answer_log(answer_log&& other) noexcept;
  answer_log& operator=(answer_log&&) = delete;
  ~answer_log();

  /// What is in the file, by key_of.
  const std::map<std::string, ordered_json>& lines() const { return lines_; }
  /// The id itself without a target.
  static std::string key_of(const std::string& id, const std::string& target);

  /// Appends `line`, which has an `id`.
  result<void> append(const ordered_json& line);

  /// Survives a power cut from here on.
  result<void> sync();

 private:
  answer_log() = default;
  result<void> read();

  std::filesystem::path file_;
  int fd_ = -1;
  std::map<std::string, ordered_json> lines_;
};

}  // namespace t2
