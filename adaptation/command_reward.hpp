#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "adaptation/reward.hpp"
#include "sandbox/sandbox.hpp"

namespace t2 {

/// The operator's own verifier (`rewards.command`): a program that reads one
/// JSON object a line (id, prompt or messages, answer, reference and the
/// example's fields) and writes one {"reward": NUMBER} for each, in order. It
/// runs once for a batch, or for each worker's part of it, in the sandbox
/// unless `rewards.sandbox` is off; arguments that name files of the host
/// (absolute paths) are shown to it there.
class command_reward : public reward {
 public:
  /// ec::invalid_argument: no command is configured.
  static result<std::shared_ptr<const reward>> make(
      const reward_options& options);
  explicit command_reward(reward_options options)
      : options_(std::move(options)) {}

  std::string_view name() const override { return "command"; }
  bool slow() const override { return true; }
  result<double> of_text(std::string_view answer,
                         const example& e) const override;
  std::vector<result<double>> of_texts(std::span<const judged_text> texts,
                                       std::stop_token stop) const override;
  result<void> check(const example&) const override { return {}; }

 private:
  result<std::vector<double>> judge(std::span<const std::string> lines,
                                    const std::stop_token& stop) const;
  result<child_outcome> run(std::string input, std::size_t count,
                            const std::stop_token& stop) const;
  const result<sandbox>& room() const;

  reward_options options_;
  mutable std::once_flag once_;
  mutable std::optional<result<sandbox>> room_;
};

}  // namespace t2
