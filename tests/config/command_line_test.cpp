#include "config/command_line.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "config/help_text.hpp"
#include "tests/paths.hpp"

namespace t2 {
namespace {

using words = std::vector<std::string>;

program gardener() {
  return {
      .name = "gardener",
      .summary = "tends plants",
      .version = "1.2.3",
      .commands = {
          {.name = "water",
           .summary = "give water to plants",
           .positionals = {{.name = "BED", .help = "the bed to water"},
                           {.name = "PLANT",
                            .help = "only these plants of it",
                            .required = false,
                            .repeated = true}},
           .options = {{.name = "litres",
                        .kind = option_kind::real,
                        .value = 1.5,
                        .help = "how much each plant gets, which is a matter "
                                "of taste, of weather and of the plant",
                        .high = 10},
                       {.name = "dry_run",
                        .kind = option_kind::boolean,
                        .value = false,
                        .help = "say it, do not do it"},
                       {.name = "can",
                        .help = "which can",
                        .choices = {"small", "large"},
                        .required = true},
                       {.name = "wait",
                        .kind = option_kind::duration,
                        .value = std::chrono::milliseconds(2000),
                        .help = "pause between two plants"}}},
          {.name = "seed list", .summary = "list the seeds"},
          {.name = "seed sow",
           .summary = "sow seeds",
           .options = {{.name = "count",
                        .kind = option_kind::integer,
                        .value = std::int64_t{1},
                        .help = "seeds in one hole",
                        .least = 1}}}}};
}

result<invocation> parse(const words& arguments) {
  return parse_command_line(gardener(), arguments, {{"HOME", "/home/ada"}});
}

std::string message_of(const result<invocation>& parsed) {
  return parsed ? "no error" : parsed.error().message;
}

/// Compares with a file beside this one; T2_UPDATE_GOLDEN rewrites it.
void expect_golden(const std::string& text, const std::string& name) {
  const std::string file =
      tests::source_folder() / "tests/config/golden" / name;
  if (std::getenv("T2_UPDATE_GOLDEN") != nullptr) std::ofstream(file) << text;
  std::ostringstream golden;
  golden << std::ifstream(file).rdbuf();
  EXPECT_EQ(text, golden.str()) << file;
}

TEST(command_line, yields_typed_values) {
  const auto parsed = parse({"water", "roses", "--can=large", "--litres", "3",
                             "tall", "--dry-run", "short"});
  ASSERT_TRUE(parsed) << message_of(parsed);
  EXPECT_EQ(parsed->command, "water");
  const auto& arguments = parsed->arguments;
  EXPECT_EQ(arguments.positionals(), (words{"roses", "tall", "short"}));
  EXPECT_EQ(arguments.get<double>("litres"), 3);
  EXPECT_TRUE(arguments.given("litres"));
  EXPECT_TRUE(arguments.get<bool>("dry_run"));
  EXPECT_EQ(arguments.get<std::string>("can"), "large");
  EXPECT_EQ(arguments.get<std::chrono::milliseconds>("wait"),
            std::chrono::seconds(2));
  EXPECT_FALSE(arguments.given("wait"));
}

TEST(command_line, takes_the_common_options_before_and_after_the_command) {
  const auto parsed = parse(
      {"--threads", "3", "seed", "sow", "--count=4", "--log-level=debug"});
  ASSERT_TRUE(parsed) << message_of(parsed);
  EXPECT_EQ(parsed->command, "seed sow");
  EXPECT_EQ(parsed->arguments.get<std::int64_t>("count"), 4);
  EXPECT_EQ(parsed->options.values.engine.threads, 3);
  EXPECT_EQ(parsed->options.values.log.level, "debug");
}

TEST(command_line, all_after_two_dashes_is_positional) {
  const auto parsed =
      parse({"water", "--can=small", "--", "--litres", "-", "-h"});
  ASSERT_TRUE(parsed) << message_of(parsed);
  EXPECT_EQ(parsed->arguments.positionals(), (words{"--litres", "-", "-h"}));
  EXPECT_FALSE(parsed->arguments.given("litres"));
}

TEST(command_line, a_boolean_flag_takes_no_following_word) {
  const auto parsed = parse({"water", "--dry-run", "roses", "--can=small"});
  ASSERT_TRUE(parsed) << message_of(parsed);
  EXPECT_EQ(parsed->arguments.positionals(), words{"roses"});
  const auto off = parse({"water", "--dry-run=false", "roses", "--can=small"});
  ASSERT_TRUE(off) << message_of(off);
  EXPECT_FALSE(off->arguments.get<bool>("dry_run"));
}

TEST(command_line, mistakes_get_one_clear_line) {
  EXPECT_EQ(message_of(parse({"watr", "roses"})),
            "unknown command 'watr'; the nearest known one is 'water'");
  EXPECT_EQ(message_of(parse({"seed", "lst"})),
            "unknown command 'seed lst'; the nearest known one is 'seed list'");
  EXPECT_EQ(message_of(parse({"seed"})),
            "expected a command after 'seed', found none; `gardener help seed` "
            "lists them");
  EXPECT_EQ(message_of(parse({"--threads=2"})),
            "expected a command, found none; `gardener help` lists them");
  EXPECT_EQ(message_of(parse({"--thread=2"})),
            "unknown flag '--thread'; the nearest known one is '--threads'");
  EXPECT_EQ(message_of(parse({"water", "roses", "--can=small", "--liters=2"})),
            "unknown flag '--liters'; the nearest known one is '--litres'");
  EXPECT_EQ(message_of(parse({"seed", "list", "--litres=2"})).substr(0, 24),
            "unknown flag '--litres';");
  EXPECT_EQ(message_of(parse({"water", "--can=small"})),
            "water: expected BED, found nothing");
  EXPECT_EQ(message_of(parse({"water", "roses"})),
            "water: expected --can, found nothing");
  EXPECT_EQ(message_of(parse({"seed", "list", "all"})),
            "seed list: expected no further argument, found 'all'");
  EXPECT_EQ(message_of(parse({"water", "roses", "--can=huge"})),
            "--can: expected one of small, large, found 'huge'");
  EXPECT_EQ(message_of(parse({"water", "r", "--can=small", "--litres=11"})),
            "--litres: expected a number from 0 to 10, found '11'");
  EXPECT_EQ(message_of(parse({"water", "r", "--can"})),
            "--can: expected a value, found none");
  EXPECT_EQ(message_of(parse({"water", "r", "--can", "--dry-run"})),
            "--can: expected a value, found none");
}

TEST(command_line, a_program_without_commands_has_the_options_alone) {
  const program daemon{.name = "t2d", .version = "1"};
  const auto parsed =
      parse_command_line(daemon, words{"--threads=2"}, {{"HOME", "/h"}});
  ASSERT_TRUE(parsed) << message_of(parsed);
  EXPECT_EQ(parsed->options.values.engine.threads, 2);
  EXPECT_EQ(message_of(parse_command_line(daemon, words{"start"}, {})),
            "expected no further argument, found 'start'");
  EXPECT_EQ(parse_command_line(daemon, words{"--version"}, {})->text,
            "t2d 1\n");
}

TEST(command_line, prints_help_however_it_is_asked) {
  const auto program_text = program_help(gardener());
  for (const words& asked : {words{}, words{"--help"}, words{"-h"},
                             words{"help"}, words{"--threads=2", "-h"}}) {
    EXPECT_EQ(parse(asked)->text, program_text);
  }
  for (const words& asked : {words{"water", "--help"}, words{"help", "water"},
                             words{"water", "-h"}}) {
    EXPECT_EQ(parse(asked)->text,
              command_help(gardener(), gardener().commands[0]));
  }
  EXPECT_EQ(parse({"seed", "--help"})->text, group_help(gardener(), "seed"));
  EXPECT_EQ(parse({"help", "options"})->text, options_help());
  EXPECT_EQ(parse({"--version"})->text, "gardener 1.2.3\n");
  EXPECT_FALSE(parse({"help", "watering"}));
}

TEST(command_line, the_help_of_programs_and_commands_is_as_agreed) {
  expect_golden(program_help(gardener()), "program_help.txt");
  expect_golden(group_help(gardener(), "seed"), "group_help.txt");
  expect_golden(command_help(gardener(), gardener().commands[0]),
                "command_help.txt");
  expect_golden(options_help(), "options_help.txt");
  expect_golden(program_help({.name = "t2d", .summary = "answers queries"}),
                "daemon_help.txt");
}

TEST(command_line, no_line_of_help_is_wider_than_80_columns) {
  std::istringstream help(options_help() +
                          command_help(gardener(), gardener().commands[0]));
  for (std::string line; std::getline(help, line);) {
    EXPECT_LE(line.size(), 80u) << line;
  }
}

}  // namespace
}  // namespace t2
