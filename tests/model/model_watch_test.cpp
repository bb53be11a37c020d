#include "model/model_watch.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "config/sha256.hpp"
#include "model/file_mapping.hpp"
#include "model/fingerprint.hpp"
#include "model/language_model.hpp"
#include "model/model_check.hpp"
#include "tests/paths.hpp"

namespace t2 {
namespace {

namespace fs = std::filesystem;

/// A model of its own to spoil.
class model_files : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "t2.XXXXXX");
    ASSERT_TRUE(::mkdtemp(name.data()));
    root = name;
    folder = root / "model";
    weights = folder / "model.safetensors";
    fs::copy(tests::assets() / "stories260k-hf", folder);
  }
  void TearDown() override { fs::remove_all(root); }

  std::shared_ptr<language_model> load() {
    auto model = language_model::load({.folder = folder,
                                       .device = "cpu",
                                       .dtype = "auto",
                                       .svd_cache = root / "svd"});
    EXPECT_TRUE(model) << model.error().message;
    return *model;
  }

  /// Writes over a byte in place and sets the file's time back, as a tool that
  /// keeps times does: only the time of the last change tells.
  static void spoil(const fs::path& file, std::int64_t from_end) {
    const auto time = fs::last_write_time(file);
    const int fd = ::open(file.c_str(), O_RDWR);
    ASSERT_GE(fd, 0);
    const auto at = static_cast<off_t>(fs::file_size(file)) - from_end;
    char byte = 0;
    ASSERT_EQ(::pread(fd, &byte, 1, at), 1);
    byte = static_cast<char>(byte ^ 1);
    ASSERT_EQ(::pwrite(fd, &byte, 1, at), 1);
    ::close(fd);
    fs::last_write_time(file, time);
  }

  /// What a look says once all that it wants to read is read.
  static result<void> looked(model_watch& watch) {
    if (auto first = watch.look(); !first) return first;
    watch.wait();
    return watch.look();
  }

  static void expect_named(const result<void>& look, const fs::path& file,
                           const std::string& how) {
    ASSERT_FALSE(look);
    EXPECT_EQ(look.error().code, ec::corrupt);
    EXPECT_NE(look.error().message.find(file.string()), std::string::npos)
        << look.error().message;
    EXPECT_NE(look.error().message.find(how), std::string::npos)
        << look.error().message;
    EXPECT_EQ(look.error().message.find('\n'), std::string::npos);
  }

  fs::path root, folder, weights;
};

using model_watch_test = model_files;

TEST_F(model_watch_test, sees_one_byte_with_size_and_time_kept) {
  model_watch watch(load());
  EXPECT_TRUE(looked(watch));
  spoil(weights, 1);
  expect_named(looked(watch), weights, "overwritten");
}

TEST_F(model_watch_test, sees_a_file_that_is_shortened) {
  const auto size = fs::file_size(weights);
  for (const auto left : {std::uintmax_t{1000}, size / 4096 / 2 * 4096, size - 1}) {
    SCOPED_TRACE(left);
    const auto copy = root / "kept";
    fs::copy_file(weights, copy);
    model_watch watch(load());
    fs::resize_file(weights, left);
    expect_named(watch.look(), weights,
                 "shortened from " + std::to_string(size) + " to " +
                     std::to_string(left));
    fs::rename(copy, weights);
  }
}

TEST_F(model_watch_test, lets_other_times_modes_and_links_pass) {
  model_watch watch(load());
  fs::last_write_time(weights, fs::file_time_type::clock::now());
  EXPECT_TRUE(looked(watch));
  fs::permissions(weights, fs::perms::owner_read);
  EXPECT_TRUE(looked(watch));
  fs::create_hard_link(weights, root / "link");
  EXPECT_TRUE(looked(watch));
  fs::permissions(weights, fs::perms::owner_all);
  spoil(root / "link", 1);  // through another name
  expect_named(looked(watch), weights, "overwritten");
}

TEST_F(model_watch_test, lets_a_file_that_has_grown_pass) {
  model_watch watch(load());
  std::ofstream(weights, std::ios::app) << "more";
  EXPECT_TRUE(looked(watch));
}

TEST_F(model_watch_test, lets_a_file_be_replaced_or_removed) {
  const auto model = load();
  model_watch watch(model);
  fs::copy_file(weights, root / "new");
  spoil(root / "new", 1);
  fs::rename(root / "new", weights);
  EXPECT_TRUE(looked(watch));
  fs::resize_file(weights, 10);  // the new one, which nobody has mapped
  EXPECT_TRUE(looked(watch));
  fs::remove(weights);
  EXPECT_TRUE(looked(watch));
  EXPECT_EQ(base_fingerprint(model->weights(), model->config()),
            model->fingerprint());
}

TEST_F(model_watch_test, sees_what_changed_between_opening_and_watching) {
  const auto model = load();
  spoil(weights, 1);
  model_watch watch(model);
  expect_named(looked(watch), weights, "overwritten");
}

TEST_F(model_watch_test, sees_entries_of_the_svd_cache_in_use) {
  const auto model = load();
  const svf_layout layout{model->config(), svf_targets::attention};
  const auto& first = layout.projections().front();
  const auto kept =
      model->decompositions().load_or_compute(model->weights(), first);
  ASSERT_TRUE(kept) << kept.error().message;
  const auto entry =
      model->decompositions().folder() / (first.weight + ".safetensors");
  model_watch watch(model);
  EXPECT_TRUE(looked(watch));
  fs::last_write_time(entry, fs::file_time_type::clock::now());
  EXPECT_TRUE(looked(watch));
  spoil(entry, 1);
  expect_named(looked(watch), entry, "overwritten");
  // And whoever loads it anew does not believe the first look either.
  const auto again = model->decompositions().load(first);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ec::corrupt);
}

TEST_F(model_files, fingerprints_do_not_trust_a_time_that_was_set_back) {
  const auto before = load()->fingerprint();
  spoil(weights, 1);
  EXPECT_NE(load()->fingerprint(), before);
}

TEST_F(model_files, check_finds_nothing_wrong_with_what_was_loaded) {
  const auto fresh = check_model(folder, root / "svd");
  ASSERT_TRUE(fresh) << fresh.error().message;
  EXPECT_EQ(fresh->remembered, "");
  const auto model = load();
  const svf_layout layout{model->config(), svf_targets::attention};
  ASSERT_TRUE(model->decompose(layout, {}));
  const auto found = check_model(folder, root / "svd");
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_TRUE(found->problems.empty()) << found->problems.front();
  EXPECT_EQ(found->fingerprint, model->fingerprint());
  EXPECT_EQ(found->remembered, model->fingerprint());
  EXPECT_EQ(found->tensors, model->weights().source().tensors().size());
  EXPECT_EQ(found->entries, layout.size());
}

TEST_F(model_files, check_names_every_file_that_has_changed) {
  std::string entry;
  {
    const auto model = load();
    const svf_layout layout{model->config(), svf_targets::attention};
    ASSERT_TRUE(model->decompose(layout, {}));
    entry = (model->decompositions().folder() /
             (layout.projections()[1].weight + ".safetensors"))
                .string();
  }
  spoil(weights, 1);
  spoil(entry, 1);
  std::ofstream(folder / "tokenizer.json", std::ios::app) << "\n";
  const auto found = check_model(folder, root / "svd");
  ASSERT_TRUE(found) << found.error().message;
  ASSERT_EQ(found->problems.size(), 3u);
  EXPECT_TRUE(found->problems[0].starts_with(weights.string() + ": 1 of "))
      << found->problems[0];
  EXPECT_TRUE(found->problems[1].starts_with(
      (folder / "tokenizer.json").string()))
      << found->problems[1];
  EXPECT_TRUE(found->problems[2].starts_with(entry)) << found->problems[2];
  const auto mapping = file_mapping::open(entry);
  EXPECT_NE(found->problems[2].find(sha256_hex((*mapping)->bytes())),
            std::string::npos);
  EXPECT_NE(found->fingerprint, found->remembered);
}

TEST_F(model_files, check_names_a_short_entry_and_one_of_other_weights) {
  const auto model = load();
  const svf_layout layout{model->config(), svf_targets::attention};
  ASSERT_TRUE(model->decompose(layout, {}));
  const auto base = model->decompositions().folder();
  const auto file = [&](std::size_t i, const char* ending) {
    return base / (layout.projections()[i].weight + ending);
  };
  fs::resize_file(file(0, ".safetensors"), 100);
  fs::remove(file(1, ".safetensors"));
  fs::remove(file(2, ".json"));  // no entry: it will be computed
  const auto found = check_model(folder, root / "svd");
  ASSERT_TRUE(found) << found.error().message;
  ASSERT_EQ(found->problems.size(), 2u);
  EXPECT_NE(found->problems[0].find("found 100"), std::string::npos);
  EXPECT_NE(found->problems[1].find(file(1, ".safetensors")),
            std::string::npos);
  EXPECT_EQ(found->entries, layout.size() - 1);
}

/// Reads a page that its file has lost.
void read_lost_page(const fs::path& file, bool mapped_by_us) {
  report_lost_pages("watcher", "");
  const auto mapping = file_mapping::open(file);
  const std::byte* lost = (*mapping)->bytes().data() + 8192;
  if (!mapped_by_us) {
    const int fd = ::open(file.c_str(), O_RDONLY);
    lost = static_cast<const std::byte*>(
               ::mmap(nullptr, 16384, PROT_READ, MAP_PRIVATE, fd, 0)) +
           8192;
  }
  fs::resize_file(file, 4096);
  ::_exit(std::to_integer<int>(*static_cast<const volatile std::byte*>(lost)));
}

TEST_F(model_files, a_lost_page_is_a_line_and_an_exit_code) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto file = fs::temp_directory_path() / "t2-lost-page";
  std::ofstream(file) << std::string(16384, 'x');
  EXPECT_EXIT(read_lost_page(file, true), testing::ExitedWithCode(4),
              "watcher: .*t2-lost-page: .*shortened in place");
  std::ofstream(file) << std::string(16384, 'x');
  EXPECT_EXIT(read_lost_page(file, false), testing::KilledBySignal(SIGBUS),
              "");
  fs::remove(file);
}

}  // namespace
}  // namespace t2
