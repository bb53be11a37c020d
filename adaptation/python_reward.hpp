#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "adaptation/reward.hpp"
#include "sandbox/sandbox.hpp"

namespace t2 {

/// A sandbox that is opened when it is first needed.
class lazy_sandbox {
 public:
  /// The same sandbox, or the same error, every time. Any thread.
  const result<sandbox>& open() const;

 private:
  mutable std::once_flag once_;
  mutable std::optional<result<sandbox>> opened_;
};

/// The answer is a program (python_program.hpp) that passes the example's
/// tests: +1 where they ran to their end, in the sandbox. The tests run in a
/// process that never runs the answer (python_harness.py), and nothing that
/// the answer does steers them (docs/formats.md). Names of theirs come from
/// the entry point and from what the example's own answer defines. Needs
/// bubblewrap and /usr/bin/python3.
class python_reward : public reward {
 public:
  explicit python_reward(reward_options options)
      : options_(std::move(options)) {}

  std::string_view name() const override { return "python"; }
  bool slow() const override { return true; }
  result<double> of_text(std::string_view answer,
                         const example& e) const override;
  std::vector<result<double>> of_texts(std::span<const judged_text> texts,
                                       std::stop_token stop) const override;
  result<void> check(const example& e) const override;

 private:
  result<double> judge(const std::string& program, const example& e,
                       const std::stop_token& stop) const;

  reward_options options_;
  lazy_sandbox sandbox_;
};

}  // namespace t2
