#include "config/model_path.hpp"

#include <gtest/gtest.h>

#include "tests/config/scratch_folder.hpp"

namespace t2 {
namespace {

using test::scratch_folder;

class model_path : public testing::Test {
 protected:
  std::string put(const std::string& name, const std::string& text = "x") {
    return here_.write(name, text);
  }
  std::string path(const std::string& name) const {
    return (here_.path() / name).string();
  }
  std::string of(const std::string& given) const {
    return model_path_of(given, env_);
  }

  scratch_folder here_;
  environment env_{{"XDG_DATA_HOME", here_.path().string()}};
};

TEST_F(model_path, is_what_was_given_where_that_exists) {
  const auto file = put("model.gguf");
  put("folder/config.json");
  EXPECT_EQ(of(file), file);
  EXPECT_EQ(of(path("folder")), path("folder"));
  EXPECT_EQ(of(""), "");
  EXPECT_EQ(of("/nowhere/at/all"), "/nowhere/at/all");
}

TEST_F(model_path, of_a_fetched_model_is_its_file) {
  EXPECT_EQ(of("tiny"), "tiny");
  const auto file = put("t2/models/tiny/any-name.gguf");
  EXPECT_EQ(models_folder(env_), path("t2/models"));
  EXPECT_EQ(of("tiny"), file);
  EXPECT_EQ(of("../models/tiny"), "../models/tiny");
  EXPECT_EQ(of(".."), "..");
}

TEST_F(model_path, of_a_hub_cache_is_its_main_snapshot) {
  const auto hub = path("hub/models--a--b");
  put("hub/models--a--b/snapshots/111/config.json");
  EXPECT_EQ(of(hub), hub + "/snapshots/111");
  put("hub/models--a--b/snapshots/222/config.json");
  EXPECT_EQ(of(hub), hub);  // which one?
  put("hub/models--a--b/refs/main", "222\n");
  EXPECT_EQ(of(hub), hub + "/snapshots/222");
  put("hub/models--a--b/refs/main", "333");
  EXPECT_EQ(of(hub), hub);
}

}  // namespace
}  // namespace t2
