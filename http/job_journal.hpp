#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "config/result.hpp"
#include "http/json.hpp"

namespace t2 {

/// What is remembered of jobs beyond the end of a process: those in the
/// background that are under way, and the last `kept` that a stop or a crash
/// has cut. A small JSON file (docs/formats.md), replaced whole and durably with
/// every change. One thread at a time.
class job_journal {
 public:
  static constexpr std::size_t kept = 100;

  /// Without a path nothing is remembered.
  explicit job_journal(std::filesystem::path path = {});

  /// What an earlier process left, oldest first: forms of jobs. A file that is
  /// no journal counts as none.
  std::vector<ordered_json> read() const;

  /// Adds a job, or replaces the one with its id. ec::io.
  result<void> put(const ordered_json& job);
  /// Forgets one that has come to its own end.
  result<void> erase(const std::string& id);

 private:
  result<void> write() const;

  std::filesystem::path path_;
  std::vector<ordered_json> jobs_;
};

}  // namespace t2
