#pragma once

#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "config/result.hpp"
#include "model/mapped_files.hpp"

namespace t2 {

class language_model;

/// Notices that files which a loaded model has mapped have changed under it:
/// its weights and the entries of the SVD cache. By the files' states; one that
/// differs and has not become shorter is read anew, on a thread of its own, so
/// that a chmod or a touch ends nothing. One thread.
class model_watch {
 public:
  explicit model_watch(std::shared_ptr<const language_model> model);

  /// Looks once: microseconds a file. ec::corrupt: a file is no longer what
  /// was loaded; names it and says how it has changed. A file that was replaced
  /// by another or removed is logged once and then no longer looked at: what
  /// is mapped stays as it was.
  result<void> look();

  /// Waits until what look() has begun to read anew is read.
  void wait() const;

 private:
  /// Files to be read anew, with the states that they have now.
  using suspects = std::map<std::filesystem::path, file_state>;

  result<void> look_at(const mapped_file& file, suspects& changed);
  result<void> conclude();

  std::shared_ptr<const language_model> model_;
  /// States that were found to hold the same bytes.
  std::map<std::filesystem::path, file_state> accepted_;
  std::set<std::filesystem::path> left_;  // replaced or removed
  suspects reading_;
  std::future<result<void>> read_;  // of reading_
};

}  // namespace t2
