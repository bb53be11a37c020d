#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace t2::test {

/// A program that runs beside the test; killed with its owner.
class child_process {
 public:
  using variables = std::map<std::string, std::string>;

  /// Starts `arguments[0]` with these variables and no others.
  child_process(const std::vector<std::string>& arguments,
                const variables& environment, const std::string& input = {});
  ~child_process();
  child_process(const child_process&) = delete;
  child_process& operator=(const child_process&) = delete;

  void send(int signal) const;

  /// Until standard error or output has said `text`; false when the program
  /// has closed both first, or five minutes are over.
  bool wait_for(const std::string& text);

  /// Until it ends: its exit code, or 128 and the signal. Fails the test after
  /// three minutes.
  int wait();

  const std::string& out() const { return out_; }
  const std::string& err() const { return err_; }
  int pid() const { return pid_; }

 private:
  /// Reads what is there; false when nothing will come.
  bool read_more(int milliseconds);

  int pid_ = -1;
  int out_fd_ = -1, err_fd_ = -1;
  std::string out_, err_;
  std::optional<int> ended_;
};

}  // namespace t2::test
