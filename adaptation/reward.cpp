#include "adaptation/reward.hpp"

#include <limits>

#include "adaptation/choice_reward.hpp"
#include "adaptation/command_reward.hpp"
#include "adaptation/exact_reward.hpp"
#include "adaptation/logprob_reward.hpp"
#include "adaptation/numeric_reward.hpp"
#include "adaptation/python_reward.hpp"
#include "adaptation/regex_reward.hpp"

namespace t2 {
namespace {

using made_reward = result<std::shared_ptr<const reward>>;

template <class T>
made_reward make_one(const reward_options&) {
  return std::shared_ptr<const reward>{std::make_shared<const T>()};
}

made_reward make_python(const reward_options& options) {
  return std::shared_ptr<const reward>{
      std::make_shared<const python_reward>(options)};
}

struct entry {
  std::string_view name;
  made_reward (*make)(const reward_options&);
};

constexpr entry registry[] = {
    {"exact", make_one<exact_reward>},
    {"numeric", make_one<numeric_reward>},
    {"choice", make_one<choice_reward>},
    {"regex", make_one<regex_reward>},
    {"python", make_python},
    {"command", command_reward::make},
    {"logprob", make_one<logprob_reward>},
};

}  // namespace

double reward::of_likelihoods(std::span<const double>, const example&) const {
  return std::numeric_limits<double>::quiet_NaN();
}

std::vector<result<double>> reward::of_texts(
    std::span<const judged_text> texts, std::stop_token stop) const {
  std::vector<result<double>> values;
  values.reserve(texts.size());
  for (const judged_text& text : texts) {
    if (stop.stop_requested())
      values.emplace_back(error{ec::cancelled, "reward: cancelled"});
    else
      values.push_back(of_text(text.answer, *text.source));
  }
  return values;
}

result<std::shared_ptr<const reward>> make_reward(
    std::string_view name, const reward_options& options) {
  std::string known;
  for (const entry& e : registry) {
    if (e.name == name) return e.make(options);
    known += (known.empty() ? "" : ", ") + std::string{e.name};
  }
  return error{ec::invalid_argument, "reward: expected one of " + known +
                                         ", found '" + std::string{name} +
                                         "'"};
}

std::vector<std::string> reward_names() {
  std::vector<std::string> names;
  for (const entry& e : registry) names.emplace_back(e.name);
  return names;
}

}  // namespace t2
