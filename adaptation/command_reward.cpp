#include "adaptation/command_reward.hpp"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <sstream>
#include <thread>

#include "adaptation/worker_threads.hpp"
#include "config/durable_file.hpp"
#include "config/jsonl.hpp"

namespace t2 {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr std::size_t largest_file = 16 << 20;
constexpr std::int64_t output_of_one = 4096;  // bytes of a verdict, and more
constexpr std::int64_t processes = 32;
constexpr double largest_reward = 1e9;  // sums of many stay far from infinity

error failure(const std::string& rest) {
  return {ec::unavailable, "rewards.command: " + rest};
}

std::string line_of(const judged_text& text) {
  json line = to_json(to_line(*text.source));
  line["reference"] = text.source->answer;
  line["answer"] = text.answer;
  // ASCII alone: an answer may hold what some readers take for the end of a
  // line (U+0085, U+2028, U+2029).
  return line.dump(-1, ' ', true, json::error_handler_t::replace) + "\n";
}

/// The files of the host that the command names.
result<std::vector<sandbox_file>> files_of(
    const std::vector<std::string>& command) {
  std::vector<sandbox_file> files;
  for (const std::string& argument : command) {
    std::error_code failed;
    if (!argument.starts_with('/') || argument.starts_with("/usr/") ||
        argument.starts_with("/bin/") ||
        !fs::is_regular_file(argument, failed))
      continue;
    auto content = read_file(argument, largest_file);
    if (!content) return content.error();
    files.push_back({argument, *std::move(content)});
  }
  return files;
}

std::vector<std::string> own_environment() {
  std::vector<std::string> variables;
  for (char** one = environ; one != nullptr && *one != nullptr; ++one)
    variables.emplace_back(*one);
  return variables;
}

std::string last_words(const child_outcome& outcome) {
  std::string text = outcome.err;
  while (!text.empty() && text.back() == '\n') text.pop_back();
  const auto line = text.rfind('\n');
  if (line != std::string::npos) text.erase(0, line + 1);
  return text.empty() ? "" : ": " + text.substr(0, 400);
}

std::string how_it_ended(const child_outcome& outcome) {
  switch (outcome.end) {
    case child_end::wall_time: return "its time ran out";
    case child_end::output: return "it wrote too much";
    case child_end::memory: return "it took too much memory";
    default: return "exit code " + std::to_string(outcome.status);
  }
}

result<std::vector<double>> read_verdicts(const std::string& output,
                                          std::size_t count) {
  jsonl_reader reader{std::make_unique<std::istringstream>(output),
                      "rewards.command: output"};
  std::vector<double> rewards;
  while (true) {
    const auto next = reader.next();
    if (!next) return failure(next.error().message);
    if (!*next) break;
    const json& value = (*next)->value;
    const auto found =
        value.is_object() ? value.find("reward") : value.end();
    if (!value.is_object() || found == value.end() || !found->is_number() ||
        !(std::abs(found->get<double>()) <= largest_reward))
      return failure("output:" + std::to_string((*next)->number) +
                     ": expected {\"reward\": NUMBER}, between -1e9 and 1e9");
    rewards.push_back(found->get<double>());
  }
  if (rewards.size() != count)
    return failure("expected " + std::to_string(count) +
                   " lines of output, found " +
                   std::to_string(rewards.size()));
  return rewards;
}

}  // namespace

result<std::shared_ptr<const reward>> command_reward::make(
    const reward_options& options) {
  if (options.command.empty())
    return error{ec::invalid_argument,
                 "reward: 'command' needs rewards.command, which names the "
                 "verifier; found none"};
  return std::shared_ptr<const reward>{
      std::make_shared<const command_reward>(options)};
}

const result<sandbox>& command_reward::room() const {
  std::call_once(once_, [this] { room_ = sandbox::open(); });
  return *room_;
}

result<child_outcome> command_reward::run(std::string input, std::size_t count,
                                          const std::stop_token& stop) const {
  const auto many = static_cast<std::int64_t>(count);
  const double seconds = options_.seconds * static_cast<double>(count);
  const std::chrono::milliseconds wall(std::llround(seconds * 1000));
  if (options_.sandbox) {
    if (!room()) return room().error();
    auto files = files_of(options_.command);
    if (!files) return files.error();
    return room()->run({.argv = options_.command,
                        .input = std::move(input),
                        .files = *std::move(files),
                        .limits = {.wall = wall,
                                   .cpu_seconds = std::llround(
                                       std::ceil(seconds)),
                                   .memory = options_.memory,
                                   .processes = processes,
                                   .output = output_of_one * (many + 16)}},
                       stop);
  }
  child_program child;
  child.argv = {"/usr/bin/env", "--"};
  child.argv.insert(child.argv.end(), options_.command.begin(),
                    options_.command.end());
  child.environment = own_environment();
  child.input = std::move(input);
  child.wall = wall;
  child.output = output_of_one * (many + 16);
  return run_child(std::move(child), stop);
}

result<std::vector<double>> command_reward::judge(
    std::span<const std::string> lines, const std::stop_token& stop) const {
  std::string input;
  for (const std::string& line : lines) input += line;
  const auto outcome = run(std::move(input), lines.size(), stop);
  if (!outcome) return outcome.error();
  if (outcome->end == child_end::cancelled)
    return error{ec::cancelled, "reward: cancelled"};
  if (outcome->end != child_end::exited || outcome->status != 0)
    return failure("expected the verifier to end well, found " +
                   how_it_ended(*outcome) + last_words(*outcome));
  return read_verdicts(outcome->out, lines.size());
}

result<double> command_reward::of_text(std::string_view answer,
                                       const example& e) const {
  const judged_text text{answer, &e};
  return of_texts({&text, 1}, {}).front();
}

std::vector<result<double>> command_reward::of_texts(
    std::span<const judged_text> texts, std::stop_token stop) const {
  std::vector<std::string> lines;
  std::vector<std::size_t> line_number;
  std::map<std::string, std::size_t> known;
  for (const judged_text& text : texts) {
    std::string line = line_of(text);
    const auto [found, fresh] = known.try_emplace(line, lines.size());
    if (fresh) lines.push_back(std::move(line));
    line_number.push_back(found->second);
  }
  const std::size_t parts = std::min(
      lines.size(), options_.workers > 0
                        ? static_cast<std::size_t>(options_.workers)
                        : std::max(1U, std::thread::hardware_concurrency()));
  std::vector<result<double>> of_line(
      lines.size(), error{ec::cancelled, "reward: cancelled"});
  run_at_once(parts, parts, [&](std::size_t part) {
    if (stop.stop_requested()) return;
    const std::size_t begin = lines.size() * part / parts;
    const std::size_t end = lines.size() * (part + 1) / parts;
    const auto rewards =
        judge(std::span{lines}.subspan(begin, end - begin), stop);
    for (std::size_t i = begin; i < end; ++i)
      of_line[i] = rewards ? result<double>{(*rewards)[i - begin]}
                           : result<double>{rewards.error()};
  });
  std::vector<result<double>> values;
  for (const std::size_t i : line_number) values.push_back(of_line[i]);
  return values;
}

}  // namespace t2
