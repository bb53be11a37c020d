#include "adaptation/python_reward.hpp"

#include <cmath>
#include <cstdio>
#include <map>
#include <random>

#include "adaptation/exact_reward.hpp"
#include "adaptation/python_harness.hpp"
#include "adaptation/python_program.hpp"
#include "adaptation/worker_threads.hpp"
#include "config/first_line.hpp"

namespace t2 {
namespace {

constexpr int tests_do_not_compile = 3;  // python_harness.py
constexpr std::size_t longest_program = 1 << 20;

std::vector<std::string> python(const char* source) {
  return {"python3", "-I", "-S", "-c", source};
}

result<sandbox> open_with_python() {
  auto opened = sandbox::open();
  if (!opened) return opened;
  const auto tried = opened->run({.argv = python("")});
  if (!tried) return tried.error();
  if (tried->status != 0)
    return error{ec::unavailable,
                 "sandbox: expected python3 in /usr/bin, found: " +
                     first_line(tried->err)};
  return opened;
}

std::string message(std::string_view text) {
  std::string bytes(8, '\0');
  for (std::size_t i = 0; i < 8; ++i)
    bytes[7 - i] = static_cast<char>(text.size() >> (8 * i) & 0xff);
  return bytes.append(text);
}

/// 128 bits that no program has seen.
std::string secret_word() {
  std::random_device random;
  std::string word;
  for (int i = 0; i < 4; ++i) {
    char digits[9];
    std::snprintf(digits, sizeof digits, "%08x", random());
    word += digits;
  }
  return word;
}

}  // namespace

const result<sandbox>& lazy_sandbox::open() const {
  std::call_once(once_, [this] { opened_ = open_with_python(); });
  return *opened_;
}

result<double> python_reward::judge(const std::string& program,
                                    const example& e,
                                    const std::stop_token& stop) const {
  const auto& room = sandbox_.open();
  if (!room) return room.error();
  if (program.size() > longest_program) return -1;
  const std::string word = secret_word();
  sandbox_program run{.argv = python(python_harness),
                      .input = message(program) + message(e.prompt) +
                               message(e.tests) + message(e.entry_point) +
                               message(program_of(e.answer, e)) +
                               message(word)};
  run.limits.wall =
      std::chrono::milliseconds(std::llround(options_.seconds * 1000));
  run.limits.cpu_seconds = std::llround(std::ceil(options_.seconds));
  run.limits.memory = options_.memory;
  const auto outcome = room->run(run, stop);
  if (!outcome) return outcome.error();
  if (outcome->end == child_end::cancelled)
    return error{ec::cancelled, "reward: cancelled"};
  if (outcome->end != child_end::exited) return -1;
  if (outcome->status == tests_do_not_compile)
    return error{ec::invalid_argument,
                 "example " + e.id + ": tests: expected a Python program"};
  return outcome->status == 0 && outcome->out.ends_with(word) ? 1 : -1;
}

result<double> python_reward::of_text(std::string_view answer,
                                      const example& e) const {
  return judge(program_of(answer, e), e, {});
}

std::vector<result<double>> python_reward::of_texts(
    std::span<const judged_text> texts, std::stop_token stop) const {
  struct task {
    std::string program;
    const example* source;
    result<double> value = error{ec::cancelled, "reward: cancelled"};
  };
  std::vector<task> tasks;
  std::vector<std::size_t> task_of;
  std::map<std::string, std::size_t> known;
  for (const judged_text& text : texts) {
    const example& e = *text.source;
    std::string program = program_of(text.answer, e);
    const auto [found, fresh] =
        known.try_emplace(message(program) + message(e.prompt) +
                              message(e.tests) + message(e.entry_point) +
                              message(e.answer),
                          tasks.size());
    if (fresh) tasks.push_back({std::move(program), &e});
    task_of.push_back(found->second);
  }
  run_at_once(tasks.size(), static_cast<std::size_t>(options_.workers),
              [&](std::size_t i) {
                if (stop.stop_requested()) return;
                tasks[i].value = judge(tasks[i].program, *tasks[i].source, stop);
              });
  std::vector<result<double>> values;
  for (const std::size_t i : task_of) values.push_back(tasks[i].value);
  return values;
}

result<void> python_reward::check(const example& e) const {
  if (trimmed(e.tests).empty())
    return error{ec::invalid_argument,
                 "example " + e.id +
                     ": tests: expected the tests that the reward python "
                     "runs, found none"};
  return {};
}

}  // namespace t2
