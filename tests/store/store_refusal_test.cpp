#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <random>

#include "store/schema.hpp"
#include "tests/store/store_folder.hpp"

namespace t2 {
namespace {

namespace fs = std::filesystem;

void write(const fs::path& path, const std::string& bytes) {
  must(write_file_durably(path, bytes));
}

void fill(expert_store& store) {
  must(store.put_base_model(sample_base()));
  for (const auto* name : {"coder", "poet", "solver"}) {
    must(store.publish(name, key_of("base"),
                       sample_version(std::string(6000, name[0]))));
  }
  auto adaptation = sample_adaptation("k", {{"coder", 1}, {"poet", 1}});
  adaptation.task_id = must(store.add_task(sample_task("sums"))).id;
  must(store.put_adaptation(adaptation));
}

class refused_store : public testing::Test {
 protected:
  // A store of some rows, closed.
  refused_store() {
    auto store = must(expert_store::open(folder_.path(), at_time(5)));
    fill(store);
  }

  // The copy of a store that a crash left: all of it is in the log.
  fs::path crashed_copy() {
    const auto crashed = folder_.folder() / "crashed";
    auto store = must(expert_store::open(folder_.path(), at_time(5)));
    must(store.add_task(sample_task("more")));
    fs::copy(folder_.folder(), crashed);
    return crashed / "store.db";
  }

  // Opening `path` fails with `code`, says `word`, and changes no file.
  static void expect_refusal(const fs::path& path, ec code,
                             const std::string& word) {
    const auto before = content(path.parent_path());
    for (const bool read_only : {false, true}) {
      const auto opened = expert_store::open(path, {.read_only = read_only});
      ASSERT_FALSE(opened) << "expected: " << word;
      EXPECT_EQ(opened.error().code, code) << opened.error().message;
      EXPECT_NE(opened.error().message.find(word), std::string::npos)
          << opened.error().message;
      EXPECT_NE(opened.error().message.find(path.filename()), std::string::npos)
          << opened.error().message;
    }
    EXPECT_EQ(content(path.parent_path()), before);
  }

  // Names and bytes of all files but the locks.
  static std::map<std::string, std::string> content(const fs::path& folder) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (!entry.is_regular_file()) continue;
      if (entry.path().extension() == ".lock") continue;
      files[entry.path().filename()] = store_folder::bytes(entry.path());
    }
    return files;
  }

  void with_sql(const fs::path& path, const char* sql) {
    auto db = sqlite_database::open(path, sqlite_database::mode::read_write);
    db.execute(sql);
  }

  store_folder folder_;
};

TEST_F(refused_store, of_a_newer_schema_is_left_as_it_is) {
  with_sql(folder_.path(), "PRAGMA user_version=9999");
  expect_refusal(folder_.path(), ec::incompatible, "9999");
}

TEST_F(refused_store, of_a_newer_schema_is_left_with_its_log_after_a_crash) {
  const auto path = crashed_copy();
  const auto log = path.parent_path() / "store.db-wal";
  {
    auto db = sqlite_database::open(path, sqlite_database::mode::read_write);
    db.checkpoint_on_close(false);
    db.execute("PRAGMA locking_mode=EXCLUSIVE; PRAGMA user_version=9999");
  }
  ASSERT_GT(fs::file_size(log), 0u);
  expect_refusal(path, ec::incompatible, "9999");
}

TEST_F(refused_store, of_another_program_is_left_as_it_is) {
  const auto path = folder_.folder() / "notes.db";
  {
    auto db = sqlite_database::open(path, sqlite_database::mode::create);
    db.execute("CREATE TABLE notes(text); INSERT INTO notes VALUES('mine')");
  }
  expect_refusal(path, ec::incompatible, "another program");
}

TEST_F(refused_store, that_is_no_database_is_left_as_it_is) {
  const auto path = folder_.folder() / "text.db";
  const std::string magic("SQLite format 3\0", 16);
  for (const auto& bytes :
       {std::string(), std::string("hello"), std::string(8192, 'x'), magic,
        magic.substr(0, 15) + std::string(5000, 'x')}) {
    write(path, bytes);
    expect_refusal(path, ec::incompatible, "not an SQLite database");
  }
}

TEST_F(refused_store, with_tables_of_somebody_else_is_left_as_it_is) {
  with_sql(folder_.path(), "DROP INDEX tasks_by_base");
  expect_refusal(folder_.path(), ec::corrupt, "expected the tables");
}

TEST_F(refused_store, with_a_hostile_trigger_is_left_as_it_is) {
  with_sql(folder_.path(),
           "CREATE TRIGGER evil AFTER INSERT ON tasks "
           "BEGIN DELETE FROM examples; END");
  expect_refusal(folder_.path(), ec::corrupt, "expected the tables");
}

TEST_F(refused_store, with_any_page_overwritten_is_left_as_it_is) {
  const std::string sound = folder_.bytes();
  ASSERT_EQ(sound.size() % 4096, 0u);
  // The first page's start is its header; every other page by its number. A
  // page of a z's bytes has no structure: that its content is wrong shows
  // when it is read.
  int refused = 0;
  for (std::size_t page = 1; page < sound.size() / 4096; ++page) {
    std::string damaged = sound;
    damaged.replace(page * 4096, 4096, std::string(4096, '\xa5'));
    write(folder_.path(), damaged);
    auto opened = expert_store::open(folder_.path(), at_time(6));
    if (!opened) {
      ++refused;
      EXPECT_EQ(opened.error().code, ec::corrupt) << opened.error().message;
      EXPECT_EQ(folder_.bytes(), damaged);
      EXPECT_EQ(folder_.names(), std::set<std::string>{"store.db"});
    } else {
      EXPECT_FALSE(must(opened->check()).empty()) << "page " << page;
    }
  }
  EXPECT_GT(refused, 20);
}

TEST_F(refused_store, that_was_cut_short_is_left_as_it_is) {
  const std::string sound = folder_.bytes();
  for (const std::size_t size :
       {std::size_t{100}, std::size_t{4096}, sound.size() / 2,
        sound.size() - 4096, sound.size() - 1}) {
    write(folder_.path(), sound.substr(0, size));
    expect_refusal(folder_.path(), ec::corrupt, "");
  }
}

TEST_F(refused_store, whose_file_is_gone_while_its_log_is_there) {
  const auto path = crashed_copy();
  fs::remove(path);
  const auto opened = expert_store::open(path);
  ASSERT_EQ(code_of(opened), ec::corrupt);
  EXPECT_NE(opened.error().message.find("store.db-wal"), std::string::npos);
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(refused_store, in_a_folder_that_cannot_be_written_says_so) {
  const auto closed = folder_.folder() / "closed";
  fs::create_directory(closed);
  fs::copy(folder_.path(), closed / "store.db");
  // A reader may be somebody else, but the store is for its owner alone.
  if (::getuid() == 0) {
    ASSERT_EQ(::chown((closed / "store.db").c_str(), 65534, 65534), 0);
  }
  ::chmod(closed.c_str(), 0555);
  ::chmod(folder_.folder().c_str(), 0755);
  const pid_t child = ::fork();
  if (child == 0) {
    // Modes do not bind root.
    if (::getuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) {
      ::_exit(9);
    }
    const auto old = expert_store::open(closed / "store.db");
    if (old || old.error().code != ec::io) ::_exit(1);
    const auto fresh = expert_store::open(closed / "new.db");
    if (fresh || fresh.error().code != ec::io) ::_exit(2);
    const bool named =
        fresh.error().message.find("new.db") != std::string::npos;
    if (!named) ::_exit(3);
    auto reader = expert_store::open(closed / "store.db", {.read_only = true});
    if (!reader) ::_exit(4);
    ::_exit(reader->get_version("coder") ? 0 : 5);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(content(closed).size(), 1u);
}

// All that a user reads from a store; errors by their code.
std::vector<std::string> everything_read(expert_store& store) {
  std::vector<std::string> read;
  const auto note = [&](const auto& got, const auto& tell) {
    read.push_back(got ? tell(*got) : std::string(to_string(got.error().code)));
  };
  for (const auto* name : {"coder", "poet", "solver"}) {
    note(store.get_version(name), [](const store_expert_version& v) {
      return v.expert + v.base + v.norm + v.targets + v.provenance_json +
             sha256_hex(v.z_safetensors) + std::to_string(v.created);
    });
  }
  note(store.get_task("sums"), [](const store_task& t) {
    std::string text = t.base + t.description + t.reward + t.options_json;
    for (const auto& e : t.examples) {
      text += e.id + e.prompt + e.answer + e.extra_json;
    }
    return text;
  });
  note(store.find_adaptation(key_of("k")), [](const store_adaptation& a) {
    std::string text = a.mixture_json + a.scores_json + a.cost_json;
    for (const auto& used : a.used) {
      text += used.expert + std::to_string(used.version);
    }
    return text + std::to_string(a.task_id.value_or(0));
  });
  note(store.audit(100), [](const std::vector<audit_entry>& log) {
    std::string text;
    for (const auto& e : log) text += e.action + e.subject + e.detail_json;
    return text;
  });
  return read;
}

TEST_F(refused_store, or_found_corrupt_but_never_read_wrong_for_a_flipped_bit) {
  std::vector<std::string> truth;
  {
    auto store = must(expert_store::open(folder_.path(), at_time(6)));
    truth = everything_read(store);
  }
  const std::string sound = folder_.bytes();
  std::mt19937 random(11);
  int refused = 0, found = 0, harmless = 0;
  for (int round = 0; round < 400; ++round) {
    std::string damaged = sound;
    damaged[random() % damaged.size()] ^= static_cast<char>(1 << random() % 8);
    std::ofstream(folder_.path(), std::ios::binary) << damaged;
    auto store = expert_store::open(folder_.path(), {.read_only = true});
    if (!store) {
      EXPECT_TRUE(store.error().code == ec::corrupt ||
                  store.error().code == ec::incompatible)
          << store.error().message;
      ++refused;
      continue;
    }
    const auto read = everything_read(*store);
    bool all_right = true;
    for (std::size_t i = 0; i < truth.size(); ++i) {
      if (read[i] == truth[i]) continue;
      EXPECT_EQ(read[i], "corrupt");
      all_right = false;
    }
    if (!all_right) {
      EXPECT_FALSE(must(store->check()).empty());
    }
    ++(all_right ? harmless : found);
  }
  EXPECT_GT(refused, 10);
  EXPECT_GT(found, 50);
  EXPECT_GT(harmless, 10);
}

}  // namespace
}  // namespace t2
