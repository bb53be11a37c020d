#include "adaptation/expert_training.hpp"

#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>

#include "adaptation/next_token_objective.hpp"
#include "adaptation/svf.hpp"
#include "adaptation/training_checkpoint.hpp"
#include "model/svf_training.hpp"
#include "model/trainer_model.hpp"
#include "tests/adaptation/stories_model.hpp"
#include "tests/adaptation/tiny_shape.hpp"

namespace t2 {
namespace {

training_spec refrain_spec() {
  training_spec spec;
  spec.name = "refrains";
  spec.format = "text";
  spec.data = refrains(0, 40);
  spec.targets = "mlp";
  spec.steps = 12;
  spec.batch = 4;
  spec.learning_rate = 2e-2;
  spec.validate_every = 4;
  spec.max_tokens = 64;
  spec.checkpoint_every = 5;
  return spec;
}

result<trained_expert> run(const training_spec& spec) {
  auto training = expert_training::make(stories_model(), spec);
  if (!training) return training.error();
  while ((*training)->advance(*stories_model())) {
  }
  return (*training)->outcome();
}

// Runs until `steps` are done, then lets go of it, as a stop would.
void run_part(const training_spec& spec, std::int64_t steps) {
  auto training = expert_training::make(stories_model(), spec);
  ASSERT_TRUE(training) << training.error().message;
  while ((*training)->progress().step < steps)
    ASSERT_TRUE((*training)->advance(*stories_model()));
  const auto outcome = (*training)->outcome();
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ec::cancelled);
}

class trainings : public testing::TestWithParam<
                      std::tuple<const char*, const char*>> {};

TEST_P(trainings, lower_the_loss_of_texts_they_have_not_seen) {
  training_spec spec = refrain_spec();
  spec.norm = std::get<0>(GetParam());
  spec.parametrisation = std::get<1>(GetParam());
  std::vector<training_progress> seen;
  auto training = expert_training::make(
      stories_model(), spec,
      [&](const training_progress& at) { seen.push_back(at); });
  ASSERT_TRUE(training) << training.error().message;
  while ((*training)->advance(*stories_model())) {
  }
  const auto trained = (*training)->outcome();
  ASSERT_TRUE(trained) << trained.error().message;
  EXPECT_LT(trained->best_validation.loss,
            trained->base_validation.loss - 0.1);
  EXPECT_GT(trained->best_step, 0);
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(seen.back().step, spec.steps);

  // Its file is an expert of this base, and its z is what was validated.
  const auto& model = *stories_model();
  const auto read = parse_expert(trained->file, "f", model.config(),
                                 model.fingerprint());
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_TRUE(read->z.equal(trained->trained.z));
  const auto provenance = nlohmann::json::parse(read->provenance);
  EXPECT_EQ(provenance["objective"], "next-token");
  EXPECT_EQ(provenance["options"]["norm"], spec.norm);
  const auto layout =
      std::make_shared<svf_layout>(model.config(), svf_targets::mlp);
  auto linears = svf_linears::make(stories_model()->network(), layout);
  ASSERT_TRUE(linears);
  const auto d = delta_from_z(read->z, (*linears)->singular_values(),
                              read->norm, *layout);
  ASSERT_TRUE(d);
  (*linears)->set(*d);
  trainer_model base{stories_model(), *std::move(linears)};
  const auto objective = make_next_token_objective(model, spec);
  const auto loss = base.loss((*objective)->validation(), 512);
  ASSERT_TRUE(loss);
  EXPECT_NEAR(loss->loss, trained->best_validation.loss, 1e-4);
}

INSTANTIATE_TEST_SUITE_P(
    of, trainings,
    testing::Combine(testing::Values("none", "nuclear"),
                     testing::Values("direct", "sigmoid")),
    [](const auto& of) {
      return std::string{std::get<0>(of.param)} + "_" +
             std::get<1>(of.param);
    });

TEST(training, resumed_after_a_stop_ends_in_the_same_bits) {
  const auto whole = run(refrain_spec());
  ASSERT_TRUE(whole) << whole.error().message;
  for (const std::int64_t stop : {1, 6, 11}) {
    training_spec spec = refrain_spec();
    spec.checkpoint = scratch_folder() / ("stop-" + std::to_string(stop));
    run_part(spec, stop);
    const auto resumed = run(spec);
    ASSERT_TRUE(resumed) << resumed.error().message;
    EXPECT_EQ(resumed->file, whole->file) << "stopped at " << stop;
  }
}

// Wherever a stop comes: in a step, in a validation, between them.
TEST(training, stopped_after_any_slice_goes_on_to_the_same_bits) {
  training_spec spec = refrain_spec();
  spec.steps = 5;
  spec.validate_every = 2;
  spec.checkpoint_every = 1000;
  const auto whole = run(spec);
  ASSERT_TRUE(whole) << whole.error().message;
  std::set<std::int64_t> stopped_at;
  for (int slices = 1;; ++slices) {
    spec.checkpoint = scratch_folder() / ("slices-" + std::to_string(slices));
    auto training = expert_training::make(stories_model(), spec);
    ASSERT_TRUE(training) << training.error().message;
    bool more = true;
    for (int i = 0; more && i < slices; ++i)
      more = (*training)->advance(*stories_model());
    if (!more) break;
    const error why = (*training)->stop();
    EXPECT_EQ(why.code, ec::cancelled) << why.message;
    ASSERT_FALSE((*training)->outcome());
    EXPECT_EQ((*training)->outcome().error().message, why.message);
    const auto again = expert_training::make(stories_model(), spec);
    ASSERT_TRUE(again) << again.error().message;
    const auto step = (*again)->resumed_from();
    stopped_at.insert(step);
    if (step > 0) {
      EXPECT_NE(why.message.find("step " + std::to_string(step) + " of 5"),
                std::string::npos)
          << why.message;
    }
    const auto resumed = run(spec);
    ASSERT_TRUE(resumed) << resumed.error().message;
    EXPECT_EQ(resumed->file, whole->file) << "stopped after " << slices;
  }
  EXPECT_EQ(stopped_at, (std::set<std::int64_t>{0, 1, 2, 3, 4}));
}

TEST(training, keeps_a_checkpoint_of_its_own_until_it_has_ended) {
  namespace fs = std::filesystem;
  training_spec spec = refrain_spec();
  spec.checkpoint_folder = scratch_folder() / "own";
  const auto whole = run(refrain_spec());
  ASSERT_TRUE(whole);
  {
    auto training = expert_training::make(stories_model(), spec);
    ASSERT_TRUE(training) << training.error().message;
    while ((*training)->progress().step < 7)
      ASSERT_TRUE((*training)->advance(*stories_model()));
    (*training)->stop();
  }
  // Another run, by its options or its name, does not go on from there.
  training_spec reseeded = spec, renamed = spec;
  reseeded.seed = 5;
  renamed.name = "others";
  for (const training_spec& other : {reseeded, renamed}) {
    const auto begun = expert_training::make(stories_model(), other);
    ASSERT_TRUE(begun) << begun.error().message;
    EXPECT_EQ((*begun)->resumed_from(), 0);
  }
  auto training = expert_training::make(stories_model(), spec);
  ASSERT_TRUE(training) << training.error().message;
  EXPECT_EQ((*training)->resumed_from(), 7);
  while ((*training)->advance(*stories_model())) {
  }
  EXPECT_EQ((*training)->outcome()->file, whole->file);
  EXPECT_FALSE(fs::is_empty(spec.checkpoint_folder));
  (*training)->discard_own_checkpoint();
  EXPECT_FALSE(fs::exists(spec.checkpoint_folder));
}

TEST(training, killed_in_its_tracks_ends_in_the_same_bits) {
  const std::string program = "/proc/self/exe";
  const auto whole = run(refrain_spec());
  ASSERT_TRUE(whole);
  training_spec spec = refrain_spec();
  spec.checkpoint = scratch_folder() / "killed";
  // A process of its own (threads of the parent's pool do not survive a fork):
  // this test's program again, which trains until it is killed.
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    setenv("T2_TEST_SCRATCH", scratch_folder().c_str(), 1);
    setenv("T2_KILLED_CHECKPOINT", spec.checkpoint.c_str(), 1);
    execl(program.c_str(), program.c_str(),
          "--gtest_also_run_disabled_tests",
          "--gtest_filter=training.DISABLED_kills_itself_at_step_seven",
          static_cast<char*>(nullptr));
    _exit(1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  ASSERT_EQ(WTERMSIG(status), SIGKILL);
  auto training = expert_training::make(stories_model(), spec);
  ASSERT_TRUE(training) << training.error().message;
  EXPECT_EQ((*training)->resumed_from(), 5);
  while ((*training)->advance(*stories_model())) {
  }
  const auto resumed = (*training)->outcome();
  ASSERT_TRUE(resumed);
  EXPECT_EQ(resumed->file, whole->file);
}

// The child of the test above.
TEST(training, DISABLED_kills_itself_at_step_seven) {
  const char* checkpoint = std::getenv("T2_KILLED_CHECKPOINT");
  ASSERT_NE(checkpoint, nullptr);
  training_spec spec = refrain_spec();
  spec.checkpoint = checkpoint;
  auto training = expert_training::make(
      stories_model(), spec, [](const training_progress& at) {
        if (at.step == 7) std::raise(SIGKILL);
      });
  ASSERT_TRUE(training);
  while ((*training)->advance(*stories_model())) {
  }
}

TEST(training, does_not_go_on_from_another_run_s_checkpoint) {
  training_spec spec = refrain_spec();
  spec.checkpoint = scratch_folder() / "other";
  run_part(spec, 6);
  for (const auto& change : std::vector<std::function<void(training_spec&)>>{
           [](training_spec& s) { s.learning_rate *= 2; },
           [](training_spec& s) { s.data += "More.\n"; },
           [](training_spec& s) { s.seed = 5; }}) {
    training_spec other = spec;
    change(other);
    const auto made = expert_training::make(stories_model(), other);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, ec::incompatible);
  }
  EXPECT_TRUE(expert_training::make(stories_model(), spec));
}

TEST(training, refuses_a_damaged_checkpoint) {
  training_spec spec = refrain_spec();
  spec.checkpoint = scratch_folder() / "damaged";
  run_part(spec, 6);
  const auto size = std::filesystem::file_size(spec.checkpoint);
  std::fstream file{spec.checkpoint,
                    std::ios::binary | std::ios::in | std::ios::out};
  file.seekp(static_cast<std::streamoff>(size - 10));
  file.put('\x55');
  file.close();
  const auto made = expert_training::make(stories_model(), spec);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ec::corrupt);
}

TEST(training, refuses_a_spec_that_makes_no_sense) {
  for (const auto& change : std::vector<std::function<void(training_spec&)>>{
           [](training_spec& s) { s.steps = 0; },
           [](training_spec& s) { s.batch = -1; },
           [](training_spec& s) { s.learning_rate = NAN; },
           [](training_spec& s) { s.norm = "l2"; },
           [](training_spec& s) { s.targets = "head"; },
           [](training_spec& s) { s.objective = "beauty"; },
           [](training_spec& s) { s.format = "xml"; },
           [](training_spec& s) { s.data = ""; }}) {
    training_spec spec = refrain_spec();
    change(spec);
    const auto made = expert_training::make(stories_model(), spec);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, ec::invalid_argument);
  }
}

TEST(training, that_diverges_says_so) {
  training_spec spec = refrain_spec();
  spec.norm = "nuclear";
  spec.learning_rate = 50;
  spec.warmup = 0;
  spec.clip = 0;
  const auto trained = run(spec);
  ASSERT_FALSE(trained);
  EXPECT_NE(trained.error().message.find("diverged"), std::string::npos);
}

// The chain of the whole: z into d, through the model, and back.
class end_to_end : public testing::TestWithParam<
                       std::tuple<svf_norm, svf_parametrisation>> {};

TEST_P(end_to_end, gradient_equals_finite_differences_of_the_model_s_loss) {
  const auto [norm, form] = GetParam();
  const auto layout = std::make_shared<svf_layout>(stories_model()->config(),
                                                   svf_targets::all);
  auto made = svf_linears::make(stories_model()->network(), layout);
  ASSERT_TRUE(made) << made.error().message;
  const at::Tensor s = (*made)->singular_values();
  trainer_model model{stories_model(), *std::move(made)};
  const training_row row{.tokens = {1, 403, 407, 261, 378, 400, 410},
                         .answer_begin = 1,
                         .weights = {1, 1, 1, 1, 1, 1}};
  const double centre = base_parameter(form);
  const at::Tensor p =
      random_vector(layout->total(), static_cast<float>(centre - 0.3),
                    static_cast<float>(centre + 0.3), 21);
  const auto loss_at = [&](const at::Tensor& at) {
    const auto d =
        delta_from_z(z_from_parameter(at, form), s, norm, *layout);
    EXPECT_TRUE(d);
    model.set(*d);
    return model.loss({&row, 1}, 512)->loss;
  };
  loss_at(p);
  const auto gradient = model.loss_and_gradient({&row, 1}, 512);
  ASSERT_TRUE(gradient) << gradient.error().message;
  const at::Tensor of_p = gradient_of_parameter(
      gradient_of_z(gradient->gradient, z_from_parameter(p, form), s, norm,
                    *layout),
      p, form);
  // Along random directions: one number sees every entry.
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    const at::Tensor direction =
        random_vector(layout->total(), -1, 1, 100 + seed);
    constexpr double h = 2e-3;
    const double slope =
        (loss_at(p + h * direction) - loss_at(p - h * direction)) / (2 * h);
    const double expected = (of_p * direction).sum().item<double>();
    EXPECT_NEAR(slope, expected,
                0.01 * std::abs(expected) + 0.003 * of_p.norm().item<double>());
  }
}

INSTANTIATE_TEST_SUITE_P(
    of, end_to_end,
    testing::Combine(testing::Values(svf_norm::none, svf_norm::nuclear),
                     testing::Values(svf_parametrisation::direct,
                                     svf_parametrisation::sigmoid)),
    [](const auto& of) {
      return std::string{to_string(std::get<0>(of.param))} + "_" +
             std::string{to_string(std::get<1>(of.param))};
    });

TEST(next_token, visits_every_row_once_an_epoch_in_an_order_of_its_own) {
  training_spec spec = refrain_spec();
  spec.batch = 6;
  const auto made = make_next_token_objective(*stories_model(), spec);
  ASSERT_TRUE(made) << made.error().message;
  auto& objective = **made;
  const auto rows = static_cast<std::int64_t>(objective.training().size());
  ASSERT_GT(objective.validation().size(), 0u);
  std::vector<std::vector<token_id>> first, second;
  for (std::int64_t step = 0; step * 6 < rows * 2; ++step) {
    for (const training_row& row : objective.rows(step))
      (static_cast<std::int64_t>(first.size()) < rows ? first : second)
          .push_back(row.tokens);
  }
  second.resize(static_cast<std::size_t>(rows));
  EXPECT_NE(first, second);
  std::sort(first.begin(), first.end());
  std::sort(second.begin(), second.end());
  EXPECT_EQ(first, second);
  for (const training_row& held : objective.validation())
    for (const training_row& row : objective.training())
      EXPECT_NE(&held, &row);
}

TEST(next_token, weighs_every_token_of_a_step_alike) {
  const auto made = make_next_token_objective(*stories_model(), refrain_spec());
  ASSERT_TRUE(made);
  double sum = 0;
  for (const training_row& row : (*made)->rows(0))
    for (const float w : row.weights) sum += double{w};
  EXPECT_NEAR(sum, 1, 1e-5);
}

TEST(next_token, cuts_long_texts_into_rows_that_lose_nothing) {
  training_spec spec = refrain_spec();
  spec.validation = 0;
  std::string text = refrains(0, 5);
  for (char& c : text)
    if (c == '\n') c = ' ';
  spec.data = text;
  const auto made = make_next_token_objective(*stories_model(), spec);
  ASSERT_TRUE(made);
  const auto& rows = (*made)->training();
  EXPECT_GT(rows.size(), 3u);
  std::vector<token_id> joined;
  for (const training_row& row : rows) {
    EXPECT_LE(row.tokens.size(), 64u);
    joined.insert(joined.end(),
                  row.tokens.begin() +
                      static_cast<std::ptrdiff_t>(row.answer_begin),
                  row.tokens.end());
  }
  while (!text.empty() && text.back() == ' ') text.pop_back();
  const auto decoded = stories_model()->text()->decode(joined, true);
  ASSERT_TRUE(decoded);
  EXPECT_NE(decoded->find(text), std::string::npos);
}

TEST(next_token, learns_the_answer_alone_of_an_example) {
  training_spec spec = refrain_spec();
  spec.format = "jsonl";
  spec.validation = 0;
  spec.data = R"({"prompt":"Once upon a","answer":" time"})";
  const auto made = make_next_token_objective(*stories_model(), spec);
  ASSERT_TRUE(made) << made.error().message;
  const auto& rows = (*made)->training();
  ASSERT_EQ(rows.size(), 1u);
  const auto answer = stories_model()->text()->decode(
      std::span{rows[0].tokens}.subspan(rows[0].answer_begin), true);
  EXPECT_NE(answer->find("time"), std::string::npos);
  EXPECT_EQ(answer->find("upon"), std::string::npos);
}

}  // namespace
}  // namespace t2
