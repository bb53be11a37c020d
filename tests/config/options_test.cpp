#include "config/options.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "tests/config/scratch_folder.hpp"
#include "tests/paths.hpp"

namespace t2 {
namespace {

using test::scratch_folder;
using words = std::vector<std::string>;

std::string message_of(const result<loaded_options>& loaded) {
  return loaded ? "no error" : loaded.error().message;
}

option_origin origin_of(const loaded_options& loaded, std::string_view name) {
  for (const auto& origin : loaded.origins) {
    if (origin.name == name) return origin;
  }
  return {.name = "no such option"};
}

TEST(options, are_the_defaults_where_nothing_is_said) {
  const auto loaded = load_options(words{}, {{"HOME", "/home/ada"}});
  ASSERT_TRUE(loaded) << message_of(loaded);
  EXPECT_EQ(loaded->values.engine.kv_bytes, 1 * gibibyte);
  EXPECT_EQ(loaded->values.search.optimiser, "cem");
  EXPECT_EQ(loaded->values.search.population, 32);
  EXPECT_EQ(loaded->values.route.labels, (words{"code", "math", "reasoning"}));
  EXPECT_EQ(loaded->values.store.path, "/home/ada/.local/share/t2/store.db");
  EXPECT_EQ(loaded->values.model.svd_cache, "/home/ada/.cache/t2/svd");
  EXPECT_EQ(loaded->values.server.socket,
            "/tmp/t2-" + std::to_string(getuid()) + ".sock");
  EXPECT_FALSE(loaded->config_file);
  for (const auto& origin : loaded->origins) {
    EXPECT_EQ(origin.source, option_source::built_in);
    EXPECT_EQ(origin.where, "default");
  }
}

TEST(options, follow_the_xdg_folders) {
  const auto loaded = load_options(words{}, {{"HOME", "/home/ada"},
                                             {"XDG_DATA_HOME", "/data"},
                                             {"XDG_CACHE_HOME", "relative"},
                                             {"XDG_RUNTIME_DIR", "/run/1"}});
  ASSERT_TRUE(loaded) << message_of(loaded);
  EXPECT_EQ(loaded->values.store.path, "/data/t2/store.db");
  EXPECT_EQ(loaded->values.model.svd_cache, "/home/ada/.cache/t2/svd");
  EXPECT_EQ(loaded->values.server.socket, "/run/1/t2.sock");
}

/// A valid value of each option that is not its default, as flag text.
std::string another_value(const option& option) {
  if (option.name == "model.device") return "cuda:1";
  if (option.name == "server.listen") return "[::1]:8080";
  if (option.name == "model.chat_template_kwargs") return "{}";
  switch (option.kind) {
    case option_kind::boolean:
      return option.value == option_value{true} ? "false" : "true";
    case option_kind::text:
      return option.choices.empty() ? "text" : option.choices.back();
    case option_kind::path: return "/some/where";
    case option_kind::integer: return "17";
    case option_kind::bytes: return "133MiB";
    case option_kind::duration: return "77s";
    case option_kind::real: return "0.375";
    case option_kind::list: return "red,green";
  }
  return {};
}

std::string as_toml(const option& option, const std::string& text) {
  switch (option.kind) {
    case option_kind::boolean:
    case option_kind::integer:
    case option_kind::real: return text;
    case option_kind::list: return R"(["red", "green"])";
    default: return '"' + text + '"';
  }
}

TEST(options, every_one_can_be_set_by_flag_by_variable_and_in_the_file) {
  const scratch_folder folder;
  for (const auto& entry : option_table()) {
    const option& declared = entry.declared;
    SCOPED_TRACE(declared.name);
    const auto text = another_value(declared);
    const auto dot = declared.name.find('.');
    const auto file =
        folder.write("t2.toml", "[" + declared.name.substr(0, dot) + "]\n" +
                                    declared.name.substr(dot + 1) + " = " +
                                    as_toml(declared, text) + "\n");
    struct way {
      words arguments;
      environment env;
      option_source source;
      std::string where;
    };
    const auto flag = "--" + flag_name(declared);
    const auto name = variable_name(declared);
    // A boolean flag takes a value only behind "=".
    const bool alone = declared.kind == option_kind::boolean;
    const std::vector<way> ways{
        {alone ? words{flag + "=" + text} : words{flag, text},
         {},
         option_source::flag,
         flag},
        {{flag + "=" + text}, {}, option_source::flag, flag},
        {{}, {{name, text}}, option_source::variable, name},
        {{"--config", file}, {}, option_source::file, file + ":2"}};
    for (const auto& [arguments, env, source, where] : ways) {
      const auto loaded = load_options(arguments, env);
      ASSERT_TRUE(loaded) << message_of(loaded);
      EXPECT_EQ(print_option(declared, entry.get(loaded->values)), text);
      EXPECT_NE(text, print_option(declared, declared.value));
      EXPECT_EQ(origin_of(*loaded, declared.name).source, source);
      EXPECT_EQ(origin_of(*loaded, declared.name).where, where);
      // Nothing else moved.
      EXPECT_EQ(std::count_if(loaded->origins.begin(), loaded->origins.end(),
                              [](const auto& origin) {
                                return origin.source != option_source::built_in;
                              }),
                1);
    }
  }
}

TEST(options, a_flag_beats_a_variable_and_a_variable_the_file) {
  const scratch_folder folder;
  const auto file = folder.write(
      "t2.toml", "[engine]\nkv_bytes = '3MiB'\nthreads = 3\nstep_tokens = 3\n");
  const auto loaded = load_options(
      words{"--config", file, "--engine-kv-bytes", "1MiB"},
      {{"T2_ENGINE_KV_BYTES", "2MiB"}, {"T2_ENGINE_THREADS", "2"}});
  ASSERT_TRUE(loaded) << message_of(loaded);
  EXPECT_EQ(loaded->values.engine.kv_bytes, 1 * mebibyte);
  EXPECT_EQ(loaded->values.engine.threads, 2);
  EXPECT_EQ(loaded->values.engine.step_tokens, 3);
  EXPECT_EQ(origin_of(*loaded, "engine.step_tokens").where, file + ":4");
}

TEST(options, a_variable_set_to_nothing_counts_as_not_set) {
  const auto loaded = load_options(words{}, {{"T2_ENGINE_THREADS", ""}});
  ASSERT_TRUE(loaded) << message_of(loaded);
  EXPECT_EQ(origin_of(*loaded, "engine.threads").where, "default");
}

TEST(options, the_last_of_two_equal_flags_wins_and_short_flags_are_the_same) {
  const auto loaded = load_options(
      words{"--threads=2", "--engine-threads", "5", "left", "over"}, {});
  ASSERT_TRUE(loaded) << message_of(loaded);
  EXPECT_EQ(loaded->values.engine.threads, 5);
  EXPECT_EQ(loaded->positionals, (words{"left", "over"}));
}

TEST(options, a_list_given_in_parts_is_one) {
  const auto loaded =
      load_options(words{"--route-labels=a,b", "--route-labels", "c"}, {});
  ASSERT_TRUE(loaded) << message_of(loaded);
  EXPECT_EQ(loaded->values.route.labels, (words{"a", "b", "c"}));
}

TEST(options, the_file_is_the_flag_s_then_the_variable_s_then_the_users) {
  const scratch_folder folder;
  const auto flagged = folder.write("flag.toml", "[engine]\nthreads = 1\n");
  const auto named = folder.write("variable.toml", "[engine]\nthreads = 2\n");
  const auto own = folder.write("t2/t2.toml", "[engine]\nthreads = 3\n");
  environment env{{"XDG_CONFIG_HOME", folder.path().string()}};
  EXPECT_EQ(load_options(words{}, env)->values.engine.threads, 3);
  EXPECT_EQ(load_options(words{}, env)->config_file, own);
  env["T2_CONFIG"] = named;
  EXPECT_EQ(load_options(words{}, env)->values.engine.threads, 2);
  EXPECT_EQ(
      load_options(words{"--config", flagged}, env)->values.engine.threads, 1);
}

TEST(options, a_named_file_must_be_there) {
  const auto loaded = load_options(words{"--config=/no/such.toml"}, {});
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ec::not_found);
  EXPECT_EQ(loaded.error().message,
            "/no/such.toml: expected a file, found none");
  const scratch_folder folder;
  const auto directory = load_options(words{"--config", folder.path()}, {});
  ASSERT_FALSE(directory);
  EXPECT_EQ(directory.error().code, ec::io);
}

TEST(options, a_tilde_is_the_home_folder_in_paths) {
  const scratch_folder folder;
  const auto file = folder.write("t2.toml", "[model]\npath = '~/smol'\n");
  const auto loaded =
      load_options(words{"--config", file}, {{"HOME", "/home/ada"}});
  ASSERT_TRUE(loaded) << message_of(loaded);
  EXPECT_EQ(loaded->values.model.path, "/home/ada/smol");
}

TEST(options, unknown_names_are_errors_with_the_nearest_known_one) {
  EXPECT_EQ(message_of(load_options(words{"--engine-kv-byte=1MiB"}, {})),
            "unknown flag '--engine-kv-byte'; the nearest known one is "
            "'--engine-kv-bytes'");
  EXPECT_EQ(message_of(load_options(words{"-x"}, {})).substr(0, 17),
            "unknown flag '-x'");
  EXPECT_EQ(message_of(load_options(words{}, {{"T2_ENGIN_THREADS", "1"}})),
            "unknown variable 'T2_ENGIN_THREADS'; the nearest known one is "
            "'T2_ENGINE_THREADS'");
  EXPECT_TRUE(load_options(words{}, {{"T20_THREADS", "1"}}));
  EXPECT_TRUE(load_options(words{}, {{"T2_ASSETS", "/assets"}}));
}

struct bad_file {
  std::string text;
  std::string message;  // after the file's name
};

class bad_files : public testing::TestWithParam<bad_file> {};

TEST_P(bad_files, name_line_expected_and_found) {
  const scratch_folder folder;
  const auto file = folder.write("t2.toml", GetParam().text);
  const auto loaded = load_options(words{"--config", file}, {});
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ec::invalid_argument);
  EXPECT_EQ(loaded.error().message, file + GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    options, bad_files,
    testing::Values(
        bad_file{"\n[engine]\nkv_byte = 1\n",
                 ":3: unknown key 'engine.kv_byte'; the nearest known one is "
                 "'engine.kv_bytes'"},
        bad_file{"kv_bytes = 1\n",
                 ":1: unknown key 'kv_bytes'; the nearest known one is "
                 "'engine.kv_bytes'"},
        bad_file{"[enginee]\nthreads = 1\n",
                 ":1: unknown section [enginee]; the nearest known one is "
                 "[engine]"},
        bad_file{"[store]\nsocket = 'a'\n",
                 ":2: unknown key 'store.socket'; the nearest known one is "
                 "'server.socket'"},
        bad_file{"engine = 4\n",
                 ":1: engine: expected a section [engine], found 4 (an "
                 "integer)"},
        bad_file{"[engine]\nthreads = '4'\n",
                 ":2: engine.threads: expected a whole number from 0 to 1024, "
                 "found '4' (a string)"},
        bad_file{"[engine]\nthreads = 2.5\n",
                 ":2: engine.threads: expected a whole number from 0 to 1024, "
                 "found 2.5 (a float)"},
        bad_file{"[engine]\n\nthreads = 4096\n",
                 ":3: engine.threads: expected a whole number from 0 to 1024, "
                 "found 4096 (an integer)"},
        bad_file{"[engine]\nkv_bytes = '12 apples'\n",
                 ":2: engine.kv_bytes: expected a size such as 512MiB from "
                 "1MiB to 64TiB, found '12 apples' (a string)"},
        bad_file{"[server]\ndeadline = 30\n",
                 ":2: server.deadline: expected a duration such as 30s from "
                 "1ms to 7d, found 30 (an integer)"},
        bad_file{"[search]\noptimiser = 'sgd'\n",
                 ":2: search.optimiser: expected one of cem, random, found "
                 "'sgd' (a string)"},
        bad_file{"[search]\nelite = nan\n",
                 ":2: search.elite: expected a number from 0.01 to 1, found "
                 "nan (a float)"},
        bad_file{"[route]\nlabels = ['a', 1]\n",
                 ":2: route.labels: expected a list such as a,b,c without "
                 "empty parts, found an array"},
        bad_file{"[model]\ndevice = 'cuda:x'\n",
                 ":2: model.device: expected cpu, cuda or cuda:N, found "
                 "'cuda:x' (a string)"}));

TEST(options, a_file_that_is_no_toml_names_the_line) {
  const scratch_folder folder;
  const auto broken = folder.write("t2.toml", "[engine]\nthreads = = 3\n");
  const auto loaded = load_options(words{"--config", broken}, {});
  ASSERT_FALSE(loaded);
  EXPECT_TRUE(loaded.error().message.starts_with(broken + ":2: expected TOML"))
      << loaded.error().message;
  const auto twice =
      folder.write("t2.toml", "[log]\nlevel='info'\nlevel='off'\n");
  EXPECT_FALSE(load_options(words{"--config", twice}, {}));
}

TEST(options, hostile_files_end_in_an_error) {
  const scratch_folder folder;
  const auto deep = folder.write(
      "deep.toml", "[engine]\nthreads = " + std::string(100'000, '['));
  EXPECT_FALSE(load_options(words{"--config", deep}, {}));
  const auto large = folder.write("large.toml", std::string(2 * mebibyte, '#'));
  const auto loaded = load_options(words{"--config", large}, {});
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ec::exhausted);
}

TEST(options, wrong_values_name_the_flag_or_variable) {
  EXPECT_EQ(message_of(load_options(words{"--search-elite", "2"}, {})),
            "--search-elite: expected a number from 0.01 to 1, found '2'");
  EXPECT_EQ(message_of(load_options(words{}, {{"T2_SERVER_DEADLINE", "30"}})),
            "T2_SERVER_DEADLINE: expected a duration such as 30s from 1ms to "
            "7d, found '30'");
  EXPECT_EQ(message_of(load_options(words{"--threads"}, {})),
            "--threads: expected a value, found none");
  EXPECT_EQ(message_of(load_options(words{"--threads", "--dtype=auto"}, {})),
            "--threads: expected a value, found none");
  EXPECT_EQ(message_of(load_options(words{"--threads", "-3"}, {})),
            "--threads: expected a whole number from 0 to 1024, found '-3'");
}

TEST(options, validate_themselves) {
  EXPECT_TRUE(runtime_options{}.validate());
  const auto message = [](const runtime_options& options) {
    const auto fine = options.validate();
    return fine ? "no error" : fine.error().message;
  };
  EXPECT_EQ(message({.engine = {.step_tokens = 0}}),
            "engine.step_tokens: expected a whole number from 1 to 1048576, "
            "found '0'");
  EXPECT_EQ(
      message({.search = {.folds = 1}}),
      "search.folds: expected 0 (leave one out) or at least 2, found '1'");
  EXPECT_EQ(message({.search = {.population = 3}}),
            "search.survivors: expected at most search.population (3), found "
            "'4'");
  EXPECT_EQ(message({.route = {.labels = {"a", "a"}}}),
            "route.labels: expected labels that differ, found one twice");
  EXPECT_EQ(message({.route = {.labels = {"a", "a: with words"}}}),
            "route.labels: expected labels that differ, found one twice");
  EXPECT_NE(message({.route = {.labels = {"other: than these"}}}), "no error");
  EXPECT_EQ(message({.route = {.strategy = "classifier"}}),
            "route.strategy: expected route.classifier to name the expert that "
            "classifies, found it empty");
  EXPECT_NE(message({.server = {.socket = std::string(108, 'x')}}), "no error");
}

TEST(options, the_table_names_each_thing_once) {
  std::set<std::string> names;
  std::set<std::string> flags{flag_name(config_option())};
  for (const auto& entry : option_table()) {
    const auto& declared = entry.declared;
    EXPECT_TRUE(names.insert(declared.name).second) << declared.name;
    EXPECT_TRUE(flags.insert(flag_name(declared)).second) << declared.name;
    if (!declared.short_flag.empty()) {
      EXPECT_TRUE(flags.insert(declared.short_flag).second) << declared.name;
    }
    EXPECT_FALSE(declared.help.empty()) << declared.name;
    EXPECT_TRUE(check_option(declared, declared.value)) << declared.name;
  }
}

TEST(options, the_documentation_lists_each_with_default_and_range) {
  std::ostringstream text;
  text
      << std::ifstream(tests::source_folder() / "docs/formats.md").rdbuf();
  for (const auto& entry : option_table()) {
    const auto& declared = entry.declared;
    const auto standard = declared.default_note.empty()
                              ? print_option(declared, declared.value)
                              : declared.default_note;
    const auto row = "| `" + declared.name + "` | " +
                     (standard.empty() ? "" : "`" + standard + "` ") + "| " +
                     expectation(declared) + ": " + declared.help + " |\n";
    EXPECT_NE(text.str().find(row), std::string::npos) << row;
  }
}

TEST(options, the_report_has_each_value_and_its_origin) {
  const auto loaded =
      load_options(words{"--search-sigma=0.25"}, {{"T2_LOG_LEVEL", "debug"}});
  ASSERT_TRUE(loaded) << message_of(loaded);
  const auto rows = report_options(*loaded);
  ASSERT_EQ(rows.size(), option_table().size());
  const auto row = [&](std::string_view name) {
    return *std::find_if(rows.begin(), rows.end(),
                         [&](const auto& r) { return r.name == name; });
  };
  EXPECT_EQ(row("search.sigma").value, "0.25");
  EXPECT_EQ(row("search.sigma").origin, "--search-sigma");
  EXPECT_EQ(row("log.level").origin, "T2_LOG_LEVEL");
  EXPECT_EQ(row("engine.kv_bytes").value, "1GiB");
  EXPECT_EQ(row("engine.kv_bytes").origin, "default");
}

}  // namespace
}  // namespace t2
