#include "adaptation/python_reward.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "adaptation/python_program.hpp"
#include "sandbox/process_tree.hpp"
#include "tests/paths.hpp"

namespace t2 {
namespace {

namespace fs = std::filesystem;

example with_tests(std::string tests) {
  example e;
  e.id = "p1";
  e.answer = "-";
  e.tests = std::move(tests);
  return e;
}

const reward& python() {
  static const auto made =
      make_reward("python", {.seconds = 20, .memory = 256 << 20});
  return **made;
}

double judge(const std::string& answer, const example& e) {
  const auto value = python().of_text(answer, e);
  if (!value) throw std::runtime_error(value.error().message);
  return *value;
}

TEST(code_of, takes_the_last_python_block_or_all) {
  EXPECT_EQ(code_of("x = 1\n"), "x = 1\n");
  EXPECT_EQ(code_of("    return 1\n"), "    return 1\n");
  EXPECT_EQ(code_of("So:\n```python\nx = 1\n```\nDone."), "x = 1\n");
  EXPECT_EQ(code_of("```python\nx = 1\n```\n```\nout\n```\n"), "x = 1\n");
  EXPECT_EQ(code_of("```py\nx = 1\n```\nor\n```python\nx = 2\n```"), "x = 2\n");
  EXPECT_EQ(code_of("```\nx = 3\n```"), "x = 3\n");
  EXPECT_EQ(code_of("```python\nx = 4\n"), "x = 4\n");
  EXPECT_EQ(code_of("    return 1\n```\n"), "    return 1\n");
}

TEST(program_of, goes_on_from_the_prompt_where_the_function_is_missing) {
  example e;
  e.prompt = "from typing import List\n\ndef f(x: List) -> int:\n";
  e.entry_point = "f";
  EXPECT_EQ(program_of("    return 1\n", e), e.prompt + "    return 1\n");
  for (const char* whole : {"def f(x):\n    return 1\n", "f = lambda x: 1\n",
                            "async def f(x):\n    pass\n"})
    EXPECT_EQ(program_of(whole, e),
              std::string("from typing import List\n") + whole);
  EXPECT_EQ(program_of("    f == 1\n    fx = 2\n", e),
            e.prompt + "    f == 1\n    fx = 2\n");
  EXPECT_EQ(program_of("    f = 1\n    return f\n", e),
            e.prompt + "    f = 1\n    return f\n");
}

// Llama 2 and Mistral open their turn of a chat with a space.
TEST(program_of, stands_alone_without_the_space_that_opens_an_answer) {
  example e;
  e.prompt = "Write f(x).";
  e.entry_point = "f";
  EXPECT_EQ(program_of(" def f(x):\n    return 1\n", e),
            "def f(x):\n    return 1\n");
  e.entry_point.clear();
  EXPECT_EQ(program_of(" x = 1\ny = 2\n", e), "x = 1\ny = 2\n");
}

TEST(python, judges_by_assertions) {
  const example e = with_tests("assert add(2, 3) == 5\nassert add('a', 'b') == 'ab'");
  EXPECT_EQ(judge("def add(a, b):\n    return a + b\n", e), 1);
  EXPECT_EQ(judge("Here:\n```python\ndef add(a, b):\n    return a + b\n```", e), 1);
  EXPECT_EQ(judge("def add(a, b):\n    return a - b\n", e), -1);
  EXPECT_EQ(judge("def add(a, b) return", e), -1);
  EXPECT_EQ(judge("", e), -1);
}

TEST(python, carries_plain_values_both_ways) {
  const std::string identity = "def f(x):\n    return x\n";
  for (const char* value :
       {"None", "True", "0", "-1", "10 ** 4000", "1.5", "float('inf')",
        "1 + 2j", "''", "'\\u20ac\\ud800'", "b'\\x00\\xff'", "[1, [2, (3,)]]",
        "{'a': {1, 2}, (1, 2): frozenset([3])}", "[]", "()", "{}", "set()"})
    EXPECT_EQ(judge(identity, with_tests(std::string("v = ") + value +
                                         "\nassert f(v) == v and "
                                         "type(f(v)) is type(v)")),
              1)
        << value;
}

TEST(python, knows_objects_exceptions_and_what_is_done_to_arguments) {
  EXPECT_EQ(judge("class stack:\n"
                  "    def __init__(self): self.items = []\n"
                  "    def push(self, x): self.items.append(x)\n"
                  "    def __len__(self): return len(self.items)\n",
                  with_tests("s = stack()\ns.push(4)\ns.push(5)\n"
                             "assert len(s) == 2 and s.items == [4, 5]")),
            1);
  EXPECT_EQ(judge("def f(x):\n    raise ValueError('no')\n",
                  with_tests("try:\n    f(1)\n    assert False\n"
                             "except ValueError as e:\n"
                             "    assert str(e) == 'no'")),
            1);
  EXPECT_EQ(judge("def f(x):\n    x.sort()\n",
                  with_tests("l = [3, 1, 2]\nf(l)\nassert l == [1, 2, 3]")),
            1);
  EXPECT_EQ(judge("def f(n):\n    for i in range(n): yield i\n",
                  with_tests("assert list(f(3)) == [0, 1, 2]")),
            1);
}

TEST(python, says_when_it_is_the_tests_that_are_broken) {
  const auto value = python().of_text("x = 1", with_tests("assert (x =="));
  ASSERT_FALSE(value);
  EXPECT_NE(value.error().message.find("p1: tests"), std::string::npos);
  EXPECT_FALSE(python().check(with_tests(" ")));
}

TEST(python, judges_batches_in_order_and_equal_programs_once) {
  const example e = with_tests("import random\nassert f() == 1");
  const example other = with_tests("assert f() == 2");
  std::vector<judged_text> texts;
  for (int i = 0; i < 200; ++i) {
    texts.push_back({"def f(): return 1", i % 2 == 0 ? &e : &other});
    texts.push_back({"def f(): return 2", &other});
  }
  const auto begin = std::chrono::steady_clock::now();
  const auto values = python().of_texts(texts);
  const std::chrono::duration<double> seconds =
      std::chrono::steady_clock::now() - begin;
  for (std::size_t i = 0; i < texts.size(); ++i)
    EXPECT_EQ(*values[i], i % 4 == 2 ? -1 : 1) << i;
  EXPECT_LT(seconds.count(), 5);  // 3 programs, not 400
}

TEST(python, stops_a_batch) {
  const example e = with_tests("f()");
  std::stop_source stop;
  stop.request_stop();
  const judged_text text{"def f(): pass", &e};
  const auto values = python().of_texts({&text, 1}, stop.get_token());
  ASSERT_FALSE(values[0]);
  EXPECT_EQ(values[0].error().code, ec::cancelled);
}

// ---- the reference answers of HumanEval, and broken ones

std::vector<example> human_eval(const std::string& assets) {
  std::vector<example> problems;
  FILE* lines =
      popen(("zcat '" + assets + "/humaneval/HumanEval.jsonl.gz'").c_str(), "r");
  std::string text;
  std::array<char, 65536> buffer;
  for (std::size_t n; (n = fread(buffer.data(), 1, buffer.size(), lines)) > 0;)
    text.append(buffer.data(), n);
  pclose(lines);
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    const auto value = nlohmann::json::parse(line);
    example e;
    e.id = value["task_id"];
    e.prompt = value["prompt"];
    e.answer = value["canonical_solution"];
    e.tests = value["test"];
    e.entry_point = value["entry_point"];
    problems.push_back(std::move(e));
  }
  return problems;
}

TEST(python, tells_the_reference_answers_of_human_eval_from_broken_ones) {
  const char* assets = std::getenv("T2_ASSETS");
  if (assets == nullptr) GTEST_SKIP() << "T2_ASSETS is not set";
  const auto problems = human_eval(assets);
  ASSERT_EQ(problems.size(), 164U);
  std::vector<judged_text> texts;
  const std::string broken = "    return None\n";
  for (const example& e : problems) {
    EXPECT_TRUE(python().check(e));
    texts.push_back({e.answer, &e});
    texts.push_back({broken, &e});
  }
  const auto values = python().of_texts(texts);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    ASSERT_TRUE(values[i]) << values[i].error().message;
    EXPECT_EQ(*values[i], i % 2 == 0 ? 1 : -1) << texts[i].source->id;
  }
}

// ---- forged answers

struct twins {
  example source;      // its answer is the honest one; none can pass if empty
  std::string forged;  // must fail
  double seconds = 0;  // where it takes as long as it may; else 0
};

std::vector<twins> twins_of_assets() {
  std::vector<twins> all;
  std::ifstream in(tests::assets() / "python_answers.jsonl");
  for (std::string line; std::getline(in, line);) {
    const auto value = nlohmann::json::parse(line);
    twins one;
    one.source.id = value["id"];
    one.source.prompt = value["prompt"];
    one.source.answer = value["answer"];
    one.source.tests = value["tests"];
    one.source.entry_point = value["entry_point"];
    one.forged = value["forged"];
    one.seconds = value.value("seconds", 0.0);
    all.push_back(std::move(one));
  }
  return all;
}

TEST(python, fails_answers_that_forge_and_passes_their_honest_twins) {
  const auto all = twins_of_assets();
  ASSERT_GT(all.size(), 200U);
  std::vector<judged_text> texts;
  for (const twins& one : all) {
    if (!one.source.answer.empty())
      texts.push_back({one.source.answer, &one.source});
    if (one.seconds == 0) texts.push_back({one.forged, &one.source});
  }
  // No verdict rests on the time, however busy the machine is.
  const auto patient =
      *make_reward("python", {.seconds = 120, .memory = 256 << 20});
  const auto values = patient->of_texts(texts);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const example& e = *texts[i].source;
    ASSERT_TRUE(values[i]) << e.id << ": " << values[i].error().message;
    const bool honest = texts[i].answer == e.answer;
    EXPECT_EQ(*values[i], honest ? 1 : -1) << e.id << (honest ? " honest" : "");
  }
  for (const twins& one : all) {
    if (one.seconds == 0) continue;
    const auto brief = *make_reward(
        "python", {.seconds = one.seconds, .memory = 256 << 20});
    EXPECT_EQ(*brief->of_text(one.forged, one.source), -1) << one.source.id;
  }
}

// Judged by themselves too, as the reference of their own example.
TEST(python, fails_forged_answers_that_are_their_own_reference) {
  std::vector<twins> all = twins_of_assets();
  std::vector<judged_text> texts;
  for (twins& one : all) {
    const std::string_view id = one.source.id;
    if (!id.starts_with("seen_")) continue;
    one.source.answer = one.forged;
    texts.push_back({one.forged, &one.source});
  }
  EXPECT_EQ(texts.size(), 13U);
  const auto values = python().of_texts(texts);
  for (std::size_t i = 0; i < texts.size(); ++i)
    EXPECT_EQ(*values[i], -1) << texts[i].source->id;
}

TEST(python, leaves_to_the_tests_what_they_do_not_ask) {
  const std::array<std::array<const char*, 2>, 7> weak{{
      {"assert f() is not None", "def f(): return object()"},
      {"assert f()", "def f(): return [0]"},
      {"assert f() == 1", "def f(): return True"},
      {"assert f() == 0", "def f(): return -0.0"},
      {"assert f() > 3", "def f(): return float('inf')"},
      {"assert all(a == b for a, b in zip(f(), [1, 2]))", "def f(): return []"},
      {"try:\n    f()\nexcept Exception:\n    pass", "def f(): return 1"},
  }};
  for (const auto& [tests, answer] : weak) {
    example e = with_tests(tests);
    e.entry_point = "f";
    EXPECT_EQ(judge(answer, e), 1) << tests;
  }
}

TEST(python, takes_names_from_the_entry_point_the_prompt_and_the_reference) {
  const std::string two =
      "import math\ndef f(x):\n    return x\n"
      "def g(x):\n    return x + 1\n";
  const auto judged = [&](std::string tests, std::string entry_point,
                          std::string reference, std::string prompt = "") {
    example e = with_tests(std::move(tests));
    e.entry_point = std::move(entry_point);
    e.answer = std::move(reference);
    e.prompt = std::move(prompt);
    return judge(two, e);
  };
  EXPECT_EQ(judged("assert f(1) == 1", "f", "-"), 1);
  EXPECT_EQ(judged("assert g(1) == 2", "f", "-"), -1);
  EXPECT_EQ(judged("assert g(1) == 2", "f", two), 1);
  EXPECT_EQ(judged("assert g(1) == 2", "f", "def f(x): return x"), -1);
  EXPECT_EQ(judged("assert g(1) == 2", "", "def f(x): return x"), -1);
  EXPECT_EQ(judged("assert g(1) == 2", "", "f = 0\nif f:\n    g = 1"), 1);
  EXPECT_EQ(judged("assert g(1) == 2", "f", "-", "def g(x): return x + 1"), 1);
  EXPECT_EQ(judged("assert g(1) == 3", "f", two, "def g(x): return x + 2"), 1);
  // What the reference imports is the tests' own.
  EXPECT_EQ(judged("assert math.sqrt(f(4)) == 2", "f", two), 1);
  EXPECT_EQ(judged("assert math.sqrt(f(4)) == 2", "f", "-"), -1);
  // Nothing says which names are the answer's: all that nobody defines.
  EXPECT_EQ(judged("assert f(1) == 1 and g(1) == 2", "", "as you like"), 1);
}

TEST(python, passes_a_nan_that_the_reference_mentions) {
  const std::string nan = "def f(x): return float('nan')";
  example e = with_tests("assert f(3) is not None");
  e.entry_point = "f";
  for (const char* reference :
       {"import math\ndef f(x): return math.nan",
        "from math import nan\ndef f(x): return nan",
        "def f(x):\n    return float('-NaN')"}) {
    e.answer = reference;
    EXPECT_EQ(judge(nan, e), 1) << reference;
  }
  for (const char* reference :
       {"-", "def f(x): return 3.0", "def f(x): return 'banana'  # nan"}) {
    e.answer = reference;
    EXPECT_EQ(judge(nan, e), -1) << reference;
  }
  e.answer = nan;  // no witness of its own
  EXPECT_EQ(judge(nan, e), -1);
}

// ---- hostile answers

struct hostile {
  const char* name;
  const char* source;
};

// Each wants a reward it has not earned, or to do harm. The tests want
// f() == a number that no program can know.
const hostile hostile_answers[] = {
    {"fork_bomb", "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass\n"},
    {"reads_shadow", "def f(): return open('/etc/shadow').read()\n"},
    {"reads_root", "import os\ndef f(): return os.listdir('/root')\n"},
    {"reads_the_canary", "import os\ndef f(): return open(CANARY).read()\n"},
    {"writes_outside", "open(CANARY, 'w').write('gone')\ndef f(): pass\n"},
    {"removes_outside", "import os, shutil\nshutil.rmtree('/work', True)\nos.remove(CANARY)\n"},
    {"writes_to_usr", "open('/usr/bin/t2-was-here', 'w').write('x')\n"},
    {"infinite_output", "while True: print('x' * 65536, flush=True)\n"},
    {"infinite_errors", "import os\nwhile True: os.write(2, b'x' * 65536)\n"},
    {"sleeps", "import time\ntime.sleep(1000)\n"},
    {"busy_loop", "while True: pass\n"},
    {"memory_bomb", "x = []\nwhile True: x.append(bytearray(1 << 24))\n"},
    {"memory_of_many", "import os, time\nfor i in range(6):\n    if os.fork() == 0: x = bytearray(200 << 20); time.sleep(100)\ntime.sleep(100)\n"},
    {"kills_the_parent", "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\n"},
    {"interrupts_the_parent", "import os, signal\nfor i in range(100): os.kill(os.getppid(), signal.SIGINT)\n"},
    {"kills_all", "import os, signal\nos.kill(-1, signal.SIGKILL)\n"},
    {"kills_init", "import os, signal\nos.kill(1, signal.SIGKILL)\n"},
    {"stops_the_parent", "import os, signal\nos.kill(os.getppid(), signal.SIGSTOP)\n"},
    {"fills_tmp", "i = 0\nwhile True:\n    open(f'/tmp/{i}', 'wb').write(b'x' * (1 << 20)); i += 1\n"},
    {"opens_sockets", "import socket\ns = socket.create_connection(('1.1.1.1', 80), 2)\ndef f(): return 1\n"},
    {"unix_socket", "import socket\nsocket.socket(socket.AF_UNIX).connect('/tmp/t2.sock')\n"},
    {"traces", "import ctypes, os\nl = ctypes.CDLL(None)\nl.ptrace(16, os.getppid(), 0, 0)\nl.ptrace(0, 0, 0, 0)\nos._exit(0)\n"},
    {"reads_the_parent", "import os\nopen(f'/proc/{os.getppid()}/mem', 'rb')\n"},
    {"mounts", "import ctypes\nctypes.CDLL(None).mount(b'none', b'/tmp', b'tmpfs', 0, 0)\nopen('/etc/x', 'w')\n"},
    {"unshares", "import ctypes, os\nctypes.CDLL(None).unshare(0x10000000)\nos.setuid(0)\n"},
    {"deep_recursion", "import sys\nsys.setrecursionlimit(10 ** 9)\ndef g(n): return g(n + 1)\ng(0)\n"},
    {"deep_value", "def f():\n    x = []\n    for i in range(10 ** 6): x = [x]\n    return x\n"},
    {"exits_hard", "import os\nos._exit(0)\n"},
    {"exits", "import sys\nsys.exit(0)\n"},
    {"exits_when_called", "import os\ndef f(): os._exit(0)\n"},
    {"raises_system_exit", "def f(): raise SystemExit(0)\n"},
    {"forges_success", "import os\nfor n in range(64):\n    try: os.write(n, b'passed\\nOK\\n0\\n')\n    except OSError: pass\nos._exit(0)\n"},
    {"reads_the_word", "import os, sys\nw = sys.stdin.read()\nfor n in range(64):\n    try: w += os.read(n, 4096).decode()\n    except Exception: pass\nfor n in range(64):\n    try: os.write(n, w.encode()[-32:])\n    except OSError: pass\nos._exit(0)\n"},
    {"patches_builtins", "import builtins\nbuiltins.AssertionError = ValueError\nbuiltins.__build_class__ = None\nbuiltins.exec = lambda *a: None\ndef f(): return 1\n"},
    {"patches_the_harness", "import sys\nm = sys.modules['__main__']\nm.test = lambda *a: None\nm.names_in = lambda c: set()\nm.main = lambda: None\nsys._getframe(2).f_globals['code'] = 0\ndef f(): return 1\n"},
    {"is_equal_to_all", "class A:\n    def __eq__(s, o): return True\n    def __ne__(s, o): return False\n    def __hash__(s): return 0\n    def __contains__(s, o): return True\ndef f(): return A()\n"},
    {"is_a_lying_int", "class A(int):\n    def __eq__(s, o): return True\n    __hash__ = int.__hash__\ndef f(): return A(1)\n"},
    {"reads_the_tests_in_frames", "import gc, sys\ndef f():\n    for o in gc.get_objects():\n        if isinstance(o, dict) and 'secret' in o: return o['secret']\n    g = sys._getframe()\n    while g:\n        if 'tests' in g.f_locals: return g.f_locals['tests']\n        g = g.f_back\n"},
    {"threads", "import threading, time\ndef g():\n    while True: time.sleep(1)\nwhile True: threading.Thread(target=g).start()\n"},
    {"at_exit", "import atexit, os\natexit.register(os._exit, 0)\nraise SystemExit\n"},
    {"ignores_signals", "import signal, time\nfor s in range(1, 64):\n    try: signal.signal(s, signal.SIG_IGN)\n    except (OSError, ValueError): pass\nwhile True: time.sleep(1)\n"},
    {"orphans_a_daemon", "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        while True: time.sleep(1)\n    os._exit(0)\ndef f(): return 1\n"},
    {"snoops_in_proc", "import os\ndef f(): return [open(f'/proc/{p}/environ').read() for p in os.listdir('/proc')]\n"},
    {"answers_with_garbage", "import os\nfor n in range(3, 64):\n    try: os.write(n, b'\\xff' * 8 + b'l7fffffff;')\n    except OSError: pass\n"},
    {"promises_a_huge_answer", "import os\nfor n in range(3, 64):\n    try:\n        os.write(n, b'\\x00\\x00\\x00\\xff\\xff\\xff\\xff\\xff')\n        while True: os.write(n, b'x' * 65536)\n    except OSError: pass\n"},
    {"huge_integer", "def f(): return 1 << (1 << 34)\n"},
    {"runs_a_shell", "import subprocess\nsubprocess.run('rm -rf / --no-preserve-root; cat ' + CANARY, shell=True)\n"},
    {"becomes_another_program", "import os\nos.execv('/usr/bin/true', ['true'])\n"},
    {"shadows_the_checker", "def check(f): pass\ndef isinstance(*a): return True\ndef len(x): return 0\ndef f(): return 1\n"},
    {"holds_the_pipe", "import os, time\nfor i in range(3):\n    if os.fork() == 0: time.sleep(1000)\nos._exit(0)\n"},
};

class hostile_answer : public testing::TestWithParam<hostile> {};

TEST_P(hostile_answer, gets_minus_one_and_harms_nothing) {
  const fs::path folder =
      fs::temp_directory_path() / ("t2-canary-" + std::to_string(getpid()));
  fs::create_directories(folder);
  const fs::path canary = folder / "canary";
  std::ofstream(canary) << "alive";
  chmod(canary.c_str(), 0666);
  const auto before = process_tree(getpid());
  const auto space = fs::space("/tmp").available;

  example e = with_tests("secret = 'x'.join(str(7 ** i) for i in range(9))\n"
                         "assert f() == secret");
  e.entry_point = "f";
  const auto made = make_reward("python", {.seconds = 1, .memory = 128 << 20});
  const auto begin = std::chrono::steady_clock::now();
  const auto value = (*made)->of_text(
      "CANARY = '" + canary.string() + "'\n" + GetParam().source, e);
  const std::chrono::duration<double> seconds =
      std::chrono::steady_clock::now() - begin;
  ASSERT_TRUE(value) << value.error().message;
  EXPECT_EQ(*value, -1);
  EXPECT_LT(seconds.count(), 8);

  std::string text;
  std::getline(std::ifstream(canary), text);
  EXPECT_EQ(text, "alive");
  EXPECT_EQ(process_tree(getpid()), before);
  EXPECT_FALSE(fs::exists("/usr/bin/t2-was-here"));
  EXPECT_FALSE(fs::exists("/tmp/0"));
  EXPECT_GT(fs::space("/tmp").available + (64 << 20), space);
  fs::remove_all(folder);
}

INSTANTIATE_TEST_SUITE_P(of, hostile_answer,
                         testing::ValuesIn(hostile_answers),
                         [](const auto& one) {
                           return std::string(one.param.name);
                         });

// The other way round: the same tests pass for who knows the number.
TEST(hostile_answers, fail_where_an_honest_one_passes) {
  example e = with_tests("secret = 'x'.join(str(7 ** i) for i in range(9))\n"
                         "assert f() == secret");
  e.entry_point = "f";
  EXPECT_EQ(judge("def f(): return 'x'.join(str(7 ** i) for i in range(9))", e),
            1);
}

}  // namespace
}  // namespace t2
