// A chat template is a stranger's program. Whatever it does, it ends within
// its fuel, and the fuel alone decides: the clock is never asked.

#include <gtest/gtest.h>

#include <thread>

#include "tests/text/fixtures.hpp"
#include "text/chat_template.hpp"

namespace t2 {
namespace {

using nlohmann::json;

result<std::string> rendered(const std::string& source,
                             std::uint64_t fuel = chat_template::default_fuel) {
  const fixtures::scratch_folder folder;
  folder.put("tokenizer_config.json", json{{"chat_template", source}}.dump());
  const auto loaded = chat_template::load(folder.path());
  if (!loaded) return loaded.error();
  const std::vector<chat_message> messages = {{"user", std::string(100, 'u')}};
  return (*loaded)->render_within(fuel, messages, true,
                                  chat_template::clock::time_point{});
}

const std::string loops[] = {
    // Much at once.
    "{{ 'a' * 10**9 }}",
    "{{ [1] * 10**12 }}",
    "{{ range(10**9) | list }}",
    "{% for x in range(10**9) %}{% endfor %}",
    "{% for x in range(0, -(10**18), -1) %}{% endfor %}",
    "{{ 'a' | indent(10**15, true) }}",
    "{{ {'a': 1} | tojson(indent=10**15) }}",
    "{{ 9**9**9 }}",
    "{{ 9223372036854775807 + 1 }}",
    // Much in a few steps.
    "{% set n = namespace(s='a') %}{% for i in range(60) %}"
    "{% set n.s = n.s ~ n.s %}{% endfor %}{{ n.s }}",
    "{% set n = namespace(s='a') %}{% for i in range(60) %}"
    "{% set n.s = n.s + n.s %}{% endfor %}{{ n.s }}",
    "{% set n = namespace(s='aa') %}{% for i in range(60) %}"
    "{% set n.s = n.s.replace('a', n.s) %}{% endfor %}{{ n.s }}",
    "{% set n = namespace(s='aa') %}{% for i in range(60) %}"
    "{% set n.s = n.s.replace('', n.s) %}{% endfor %}{{ n.s }}",
    "{% set n = namespace(s='a,a') %}{% for i in range(60) %}"
    "{% set n.s = n.s.join(n.s) %}{% endfor %}{{ n.s }}",
    "{% set n = namespace(s='a') %}{% for i in range(60) %}"
    "{% set x %}{{ n.s }}{{ n.s }}{% endset %}{% set n.s = x %}{% endfor %}",
    // Little memory, but as a tree it is endless to walk.
    "{% set n = namespace(s=[1]) %}{% for i in range(60) %}"
    "{% set n.s = [n.s, n.s] %}{% endfor %}{{ n.s | tojson }}",
    "{% set n = namespace(s=[1]) %}{% for i in range(60) %}"
    "{% set n.s = [n.s, n.s] %}{% endfor %}{{ n.s | string | length }}",
    "{% set n = namespace(s=[1], t=[1]) %}{% for i in range(60) %}"
    "{% set n.s = [n.s, n.s] %}{% set n.t = [n.t, n.t] %}{% endfor %}"
    "{{ n.s == n.t }}",
    "{% set n = namespace(s={'a': 1}) %}{% for i in range(60) %}"
    "{% set n.s = {'a': n.s, 'b': n.s} %}{% endfor %}{{ n.s }}",
    // Loops within loops.
    "{% for a in range(9999) %}{% for b in range(9999) %}"
    "{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}",
    "{% for a in range(9999) %}{% for b in range(9999) %}{{ messages }}"
    "{% endfor %}{% endfor %}",
    // Depth.
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% macro m(n) %}{{ m(n - 1) }}{{ m(n - 1) }}{% endmacro %}{{ m(50) }}",
    "{% set n = namespace(s=[]) %}{% for i in range(9999) %}"
    "{% set n.s = [n.s] %}{% endfor %}{{ n.s }}",
    // Long chains of one operator make a deep tree.
    [] {
      std::string chain = "{{ 1";
      for (int i = 0; i < 60'000; ++i) chain += "+1";
      return chain + " }}";
    }(),
    [] {
      std::string chain = "{{ 'a'";
      for (int i = 0; i < 60'000; ++i) chain += "|e";
      return chain + " }}";
    }(),
    [] {
      std::string chain = "{{ a";
      for (int i = 0; i < 60'000; ++i) chain += ".b";
      return chain + " }}";
    }(),
};

TEST(hostile_template, runs_out_of_fuel) {
  for (const auto& source : loops) {
    SCOPED_TRACE(source.substr(0, 200));
    const auto text = rendered(source);
    ASSERT_FALSE(text) << text->size();
    EXPECT_EQ(text.error().code, ec::exhausted) << text.error().message;
  }
}

TEST(hostile_template, deep_nesting_is_refused_by_the_parser) {
  for (const auto& [open, close] :
       {std::pair<std::string, std::string>{"(", ")"}, {"[", "]"}, {"-", ""}}) {
    std::string source = "{{ ";
    for (int i = 0; i < 30'000; ++i) source += open;
    source += "1";
    if (!close.empty())
      for (int i = 0; i < 30'000; ++i) source += close;
    EXPECT_FALSE(rendered(source + " }}")) << open;
  }
  std::string blocks;
  for (int i = 0; i < 5'000; ++i) blocks += "{% if 1 %}";
  EXPECT_FALSE(rendered(blocks));
}

TEST(hostile_template, a_source_over_the_cap_is_refused) {
  const auto text = rendered(std::string(1 << 20, 'a'));
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, ec::corrupt);
}

TEST(hostile_template, a_ring_of_namespaces_is_refused) {
  EXPECT_FALSE(rendered("{% set n = namespace() %}{% set n.me = n %}{{ n }}"));
  EXPECT_FALSE(
      rendered("{% set n = namespace() %}{% set n.me = [n] %}{{ n }}"));
  EXPECT_FALSE(
      rendered("{% for x in [1] %}{% set l = [loop] %}{% endfor %}"));
}

TEST(hostile_template, what_is_out_of_reach_stays_out_of_reach) {
  for (const char* source :
       {"{% include '/etc/passwd' %}", "{% import 'x' as y %}",
        "{% extends 'x' %}", "{{ ''.__class__.__mro__[1] }}",
        "{{ messages.append(1) }}", "{{ lipsum() }}", "{{ 1 / 0 }}",
        "{{ 1 % 0 }}", "{{ 1 // 0 }}", "{{ none.x.y }}", "{{ missing.x }}",
        "{{ 'a' + 1 }}", "{{ 1 | nonsense }}", "{{ 1 is nonsense }}",
        "{{ 'x'[::0] }}", "{{ 'x'.split('') }}"}) {
    EXPECT_FALSE(rendered(source)) << source;
  }
}

/// The property that lets tests speak of fuel where others would speak of
/// seconds: what a render may cost grows no faster than its fuel.
TEST(hostile_template, text_is_never_longer_than_the_fuel) {
  for (const std::uint64_t fuel : {1'000u, 100'000u, 10'000'000u}) {
    std::uint64_t low = 0;
    std::uint64_t high = fuel;
    while (low < high) {
      const auto middle = (low + high + 1) / 2;
      const auto source = "{{ 'a' * " + std::to_string(middle) + " }}";
      const auto text = rendered(source, fuel);
      if (text) {
        ASSERT_EQ(text->size(), middle);
        low = middle;
      } else {
        ASSERT_EQ(text.error().code, ec::exhausted);
        high = middle - 1;
      }
    }
    EXPECT_LT(low, fuel);
    EXPECT_GT(low, fuel / 8);
  }
}

TEST(hostile_template, the_same_fuel_fails_at_the_same_place_everywhere) {
  const std::string source =
      "{% for m in messages %}{{ m.role ~ m.content }}{% endfor %}";
  std::uint64_t enough = 1;
  while (!rendered(source, enough)) ++enough;
  EXPECT_GT(enough, 100u);
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      if (!rendered(source, enough) || rendered(source, enough - 1)) ++wrong;
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(hostile_template, configs_that_are_nonsense_are_errors) {
  for (const char* config :
       {"", "[", "[]", "{\"chat_template\": 3}", "{\"chat_template\": [3]}",
        "{\"chat_template\": {}}", "\xff"}) {
    const fixtures::scratch_folder folder;
    folder.put("tokenizer_config.json", config);
    const auto loaded = chat_template::load(folder.path());
    if (std::string_view(config).empty()) continue;
    ASSERT_FALSE(loaded) << config;
    EXPECT_EQ(loaded.error().code, ec::corrupt);
    EXPECT_NE(loaded.error().message.find("tokenizer_config.json"),
              std::string::npos);
  }
}

}  // namespace
}  // namespace t2
