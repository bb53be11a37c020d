#include "model/svd_cache.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include "tests/paths.hpp"

extern char** environ;

namespace t2 {
namespace {

const std::string base(64, 'a');

struct tiny_model {
  checkpoint weights;
  std::vector<projection> projections;
};

const tiny_model& tiny() {
  static const tiny_model model = [] {
    const auto folder = tests::assets() / "mistral-tiny";
    return tiny_model{*checkpoint::open(folder),
                      svf_layout{*read_model_config(folder), svf_targets::all}
                          .projections()};
  }();
  return model;
}

class svd_cache_test : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "t2.XXXXXX");
    ASSERT_TRUE(::mkdtemp(name.data()));
    root = name;
  }
  void TearDown() override { std::filesystem::remove_all(root); }

  svd_cache open() const { return *svd_cache::open(root, base); }
  std::filesystem::path data(const projection& p) const {
    return root / base / (p.weight + ".safetensors");
  }
  std::filesystem::path manifest(const projection& p) const {
    return root / base / (p.weight + ".json");
  }
  const projection& first() const { return tiny().projections.front(); }

  std::filesystem::path root;
};

at::Tensor weight(const projection& p) {
  const std::array shape{p.out_features, p.in_features};
  return *tiny().weights.tensor(p.weight, shape);
}

void expect_factors_of(const projection& p, const svd_factors& f) {
  const auto back = at::matmul(f.u_mr * f.s_r, f.v_nr.t());
  EXPECT_LE((back - weight(p)).norm().item<float>(),
            2e-6f * weight(p).norm().item<float>());
}

void flip_byte(const std::filesystem::path& file, std::streamoff from_end) {
  std::fstream stream{file, std::ios::in | std::ios::out | std::ios::binary};
  stream.seekg(-from_end, std::ios::end);
  const auto at = stream.tellg();
  const char old = static_cast<char>(stream.get());
  stream.seekp(at);
  stream.put(static_cast<char>(old ^ 0x40));
}

/// Runs this program again for one of the DISABLED_ tests below, which fill
/// the cache named by T2_TEST_SVD_ROOT.
pid_t start_child(const std::string& test, const std::filesystem::path& root) {
  ::setenv("T2_TEST_SVD_ROOT", root.c_str(), 1);
  const auto filter = "--gtest_filter=svd_cache_child.DISABLED_" + test;
  const std::array<const char*, 5> arguments{
      "t2_test", filter.c_str(), "--gtest_also_run_disabled_tests",
      "--gtest_brief=1", nullptr};
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  pid_t child = -1;
  EXPECT_EQ(::posix_spawn(&child, "/proc/self/exe", &actions, nullptr,
                          const_cast<char**>(arguments.data()), environ),
            0);
  ::posix_spawn_file_actions_destroy(&actions);
  return child;
}

int wait_for(pid_t child) {
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return status;
}

TEST(svd_cache_child, DISABLED_fill_until_killed) {
  const auto* root = std::getenv("T2_TEST_SVD_ROOT");
  if (!root) return;
  const auto cache = *svd_cache::open(root, base);
  static_cast<void>(cache.fill(tiny().weights, tiny().projections,
                               [](std::size_t done, std::size_t) {
                                 if (done >= 5) ::raise(SIGKILL);
                                 return true;
                               }));
}

TEST(svd_cache_child, DISABLED_fill_all) {
  const auto* root = std::getenv("T2_TEST_SVD_ROOT");
  if (!root) return;
  const auto cache = *svd_cache::open(root, base);
  EXPECT_TRUE(cache.fill(tiny().weights, tiny().projections));
}

using svd_cache_folder = svd_cache_test;

TEST_F(svd_cache_folder, gives_back_factors_of_each_weight_it_was_filled_with) {
  const auto cache = open();
  EXPECT_EQ(cache.load(first()).error().code, ec::not_found);
  std::vector<std::size_t> seen;
  const auto total = tiny().projections.size();
  ASSERT_TRUE(cache.fill(tiny().weights, tiny().projections,
                         [&](std::size_t done, std::size_t of) {
                           seen.push_back(done);
                           EXPECT_EQ(of, total);
                           return true;
                         }));
  ASSERT_EQ(seen.size(), total + 1);
  for (std::size_t i = 0; i <= total; ++i) EXPECT_EQ(seen[i], i);
  for (const auto& p : tiny().projections) {
    const auto loaded = cache.load(p);
    ASSERT_TRUE(loaded) << loaded.error().message;
    expect_factors_of(p, *loaded);
    const auto quality = cache.verify(tiny().weights, p);
    ASSERT_TRUE(quality) << quality.error().message;
  }
  const auto status = cache.status(tiny().projections);
  EXPECT_EQ(status.present, total);
  std::uint64_t bytes = 0;
  for (const auto& p : tiny().projections)
    bytes += std::filesystem::file_size(data(p));
  EXPECT_EQ(status.bytes, bytes);
}

TEST_F(svd_cache_folder, computes_nothing_twice) {
  ASSERT_TRUE(open().load_or_compute(tiny().weights, first()));
  const auto time = std::filesystem::last_write_time(data(first()));
  const auto inode = [&] {
    struct stat status {};
    ::stat(data(first()).c_str(), &status);
    return status.st_ino;
  };
  const auto before = inode();
  ASSERT_TRUE(open().load_or_compute(tiny().weights, first()));
  ASSERT_TRUE(open().fill(tiny().weights, tiny().projections));
  EXPECT_EQ(std::filesystem::last_write_time(data(first())), time);
  EXPECT_EQ(inode(), before);
}

TEST_F(svd_cache_folder, resumes_after_a_kill_between_two_matrices) {
  const auto status = wait_for(start_child("fill_until_killed", root));
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  const auto before = open().status(tiny().projections).present;
  EXPECT_GE(before, 5u);
  ASSERT_LT(before, tiny().projections.size());
  std::vector<std::size_t> seen;
  ASSERT_TRUE(open().fill(tiny().weights, tiny().projections,
                          [&](std::size_t done, std::size_t) {
                            seen.push_back(done);
                            return true;
                          }));
  EXPECT_EQ(seen.front(), before);
  for (const auto& p : tiny().projections)
    EXPECT_TRUE(open().verify(tiny().weights, p));
}

TEST_F(svd_cache_folder, resumes_after_a_crash_within_an_entry) {
  // Data without its manifest: the crash came between the two.
  ASSERT_TRUE(open().load_or_compute(tiny().weights, first()));
  std::filesystem::remove(manifest(first()));
  EXPECT_EQ(open().load(first()).error().code, ec::not_found);
  EXPECT_EQ(open().status(tiny().projections).present, 0u);
  ASSERT_TRUE(open().fill(tiny().weights, tiny().projections));
  expect_factors_of(first(), *open().load(first()));
  // A half-written file never has the final name, whatever else lies there.
  std::ofstream{root / base / "half.tmp"} << "rubbish";
  EXPECT_TRUE(open().load(first()));
}

TEST_F(svd_cache_folder, reports_and_repairs_each_kind_of_damage) {
  const std::vector<std::function<void()>> damages{
      [&] { flip_byte(data(first()), 100); },
      [&] { flip_byte(data(first()), static_cast<std::streamoff>(
                          std::filesystem::file_size(data(first())))); },
      [&] { std::filesystem::resize_file(data(first()), 1000); },
      [&] { std::filesystem::resize_file(data(first()), 0); },
      [&] { std::filesystem::remove(data(first())); },
      [&] { std::ofstream{manifest(first())} << "{"; },
      [&] { std::ofstream{manifest(first())} << R"({"version":2})"; },
      [&] { std::ofstream{manifest(first())} << std::string(100'000, ' '); },
      [&] {  // another weight's entry under this name
        const auto& other = tiny().projections[1];
        ASSERT_TRUE(open().load_or_compute(tiny().weights, other));
        std::filesystem::copy_file(
            manifest(other), manifest(first()),
            std::filesystem::copy_options::overwrite_existing);
      },
  };
  for (std::size_t i = 0; i < damages.size(); ++i) {
    SCOPED_TRACE(i);
    ASSERT_TRUE(open().load_or_compute(tiny().weights, first()));
    damages[i]();
    const auto loaded = open().load(first());
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, ec::corrupt);
    EXPECT_NE(loaded.error().message.find(first().weight), std::string::npos)
        << loaded.error().message;
    const auto repaired = open().load_or_compute(tiny().weights, first());
    ASSERT_TRUE(repaired) << repaired.error().message;
    expect_factors_of(first(), *repaired);
  }
}

TEST_F(svd_cache_folder, verifies_that_an_entry_is_of_this_checkpoint) {
  ASSERT_TRUE(open().load_or_compute(tiny().weights, first()));
  std::ifstream in{manifest(first())};
  std::string text{std::istreambuf_iterator<char>{in}, {}};
  const auto at = text.find("\"weight_sha256\": \"");
  ASSERT_NE(at, std::string::npos);
  text.replace(at + 18, 4, text.substr(at + 18, 4) == "0000" ? "1111" : "0000");
  std::ofstream{manifest(first())} << text;
  EXPECT_EQ(open().verify(tiny().weights, first()).error().code,
            ec::incompatible);
}

TEST_F(svd_cache_folder, stops_when_told_and_keeps_what_it_has) {
  const auto filled = open().fill(
      tiny().weights, tiny().projections,
      [](std::size_t done, std::size_t) { return done < 3; });
  ASSERT_FALSE(filled);
  EXPECT_EQ(filled.error().code, ec::cancelled);
  EXPECT_GE(open().status(tiny().projections).present, 3u);
  EXPECT_LT(open().status(tiny().projections).present,
            tiny().projections.size());
}

TEST_F(svd_cache_folder, is_filled_by_two_processes_and_two_threads_at_once) {
  const auto a = start_child("fill_all", root);
  const auto b = start_child("fill_all", root);
  const auto here = open();
  std::thread other{
      [&] { EXPECT_TRUE(here.fill(tiny().weights, tiny().projections)); }};
  EXPECT_TRUE(here.fill(tiny().weights, tiny().projections));
  other.join();
  EXPECT_EQ(wait_for(a), 0);
  EXPECT_EQ(wait_for(b), 0);
  for (const auto& p : tiny().projections)
    EXPECT_TRUE(open().verify(tiny().weights, p));
}

TEST_F(svd_cache_folder, keeps_factors_valid_when_an_entry_is_replaced) {
  const auto kept = open().load_or_compute(tiny().weights, first());
  ASSERT_TRUE(kept);
  std::filesystem::remove(manifest(first()));
  ASSERT_TRUE(open().load_or_compute(tiny().weights, first()));
  std::filesystem::remove_all(root / base);
  expect_factors_of(first(), *kept);
}

TEST_F(svd_cache_folder, refuses_names_that_lead_out_of_it) {
  EXPECT_EQ(svd_cache::open(root, "../x").error().code, ec::invalid_argument);
  auto p = first();
  p.weight = "../../etc/passwd";
  EXPECT_EQ(open().load(p).error().code, ec::invalid_argument);
}

TEST_F(svd_cache_folder, passes_on_what_is_wrong_with_the_checkpoint) {
  auto p = first();
  p.out_features += 1;
  const auto made = open().load_or_compute(tiny().weights, p);
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message.find("expected shape"), std::string::npos);
}

}  // namespace
}  // namespace t2
