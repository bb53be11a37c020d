#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "config/options.hpp"
#include "config/result.hpp"
#include "tools/answer_log.hpp"
#include "tools/interrupt.hpp"
#include "tools/reproduce/miniature.hpp"
#include "tools/runtime_access.hpp"

namespace t2::reproduce {

/// What was measured, by name; a measurement that is there is not made again.
/// Any thread.
class measurements {
 public:
  /// ec::incompatible: they are of another scope.
  static result<std::unique_ptr<measurements>> open(
      const std::filesystem::path& file, const scope& s);

  bool has(const std::string& id) const;
  const ordered_json& at(const std::string& id) const;
  /// Makes `id` unless it is there; durable when this returns.
  result<void> once(const std::string& id,
                    const std::function<result<ordered_json>()>& make);

 private:
  explicit measurements(answer_log log) : log_(std::move(log)) {}
  mutable std::mutex mutex_;
  answer_log log_;
  std::map<std::string, ordered_json> made_;
};

/// The names of measurements.
std::string training_id(demo::family f, const std::string& recipe,
                        std::uint64_t seed);
std::string classifier_id(std::uint64_t seed);
std::string confusion_id(const std::string& strategy, std::uint64_t seed);
std::string strategies_id(demo::family relative, std::uint64_t seed);
std::string few_shot_id(demo::family relative, std::size_t shots,
                        std::uint64_t seed);
std::string form_id(demo::family relative, const std::string& per,
                    const std::string& rule, std::uint64_t seed);
std::string control_id(demo::family relative, std::uint64_t seed);
std::string null_id(demo::family relative, std::size_t draw,
                    std::uint64_t seed);
std::string pool_id(std::size_t experts, bool preselected);
std::string passes_id(std::size_t at_once);

struct study_settings {
  loaded_options options;  // the model is set
  std::filesystem::path work;
  scope extent;
  std::function<void(const std::string&)> tell;  // any thread
};

/// All that is measured under one seed: trainings, strategies, searches. One
/// runtime and one store of its own; several may run beside each other.
result<void> study_seed(const study_settings& settings, const study_data& data,
                        std::uint64_t seed, const interrupt& signals,
                        measurements& log);

/// What is timed, alone on the machine, with the experts of the first seed: a
/// search as experts grow in number, pass 1 beside pass 2.
result<void> study_costs(const study_settings& settings, const study_data& data,
                         const interrupt& signals, measurements& log);

}  // namespace t2::reproduce
