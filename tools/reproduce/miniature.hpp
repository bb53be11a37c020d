#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "config/result.hpp"
#include "demo/corpus.hpp"
#include "tools/evaluation.hpp"

namespace t2::reproduce {

/// A family that experts are grown on, and those that only look like it.
struct study_family {
  demo::family grown_on;
  std::vector<demo::family> relatives;
};
const std::vector<study_family>& study_families();
/// All relatives, in order.
std::vector<demo::family> relatives();

/// One way to train on a family.
struct recipe {
  std::string name;       // "svf", "svf-mlp", ...
  std::string method;     // svf, lora
  std::string objective;  // reinforce, next-token
  std::string targets;    // of svf
};
/// The expert, LoRA beside it, and the paper's ablation.
const std::vector<recipe>& recipes();
inline const std::string expert_recipe = "svf";
inline const std::string lora_recipe = "lora";

/// What is measured and how long it may take: all of it, or as much as a test
/// has time for.
struct scope {
  bool quick = false;
  std::vector<std::uint64_t> seeds;
  std::size_t questions = 0;      // of each test set
  std::int64_t steps = 0;         // of a training
  std::size_t training = 0;       // examples of a family
  std::vector<std::size_t> shots;
  std::size_t null_draws = 0;     // searches among shuffled experts, a relative
  std::vector<std::size_t> pool;  // numbers of experts to search among
  std::int64_t iterations = 0;    // of a search
  std::size_t timed = 0;          // queries whose passes are timed

  static scope whole();
  static scope for_a_test();
  /// Which recipes a family is trained by.
  bool trains(demo::family f, const recipe& r) const;
  std::string text() const;  // canonical: what a log of measurements is of
};

/// JSONL files of questions that are disjoint by construction.
class study_data {
 public:
  /// Writes what is not there.
  static result<study_data> prepare(const std::filesystem::path& folder,
                                    const scope& s);

  std::filesystem::path file(const std::string& family,
                             demo::portion p) const;
  /// The test questions of a family.
  const test_set& test_of(demo::family f) const;
  /// Queries with their classes that no classifier is trained on.
  const test_set& labelled_test() const { return labelled_; }
  /// Of the relatives that a search takes shots from: those of `draw`.
  std::vector<ordered_json> shots_of(demo::family f, std::size_t draw,
                                     std::size_t count) const;

 private:
  std::filesystem::path folder_;
  std::map<demo::family, test_set> tests_;
  std::map<demo::family, std::vector<ordered_json>> shots_;
  test_set labelled_;
};

inline constexpr const char* labels_name = "labels";
/// Shots of one draw are the next so many.
inline constexpr std::size_t most_shots = 20;

}  // namespace t2::reproduce
