#include "actors/client.hpp"

#include <caf/send.hpp>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <future>
#include <mutex>
#include <thread>

#include "actors/client_state.hpp"
#include "actors/front_desk.hpp"
#include "adaptation/prompting.hpp"
#include "model/language_model.hpp"
#include "tests/paths.hpp"

namespace t2 {

/// The actors behind a client.
struct client_access {
  static runtime& actors(client& c) { return *c.state_->actors; }
};

namespace {

using namespace std::chrono_literals;

constexpr auto patience = 120s;

/// Waits for a callback.
template <class T>
class awaited {
 public:
  reply<T> callback() {
    return [state = state_](result<T> r) { state->set_value(std::move(r)); };
  }
  result<T> get() {
    auto future = state_->get_future();
    if (future.wait_for(patience) != std::future_status::ready) {
      return error{ec::internal, "the test has waited too long"};
    }
    return future.get();
  }

 private:
  std::shared_ptr<std::promise<result<T>>> state_ =
      std::make_shared<std::promise<result<T>>>();
};

/// A call of the client, waited for.
template <class T, class... Params, class... Args>
result<T> wait(client& c, void (client::*call)(Params...), Args... args) {
  awaited<T> answer;
  (c.*call)(std::move(args)..., answer.callback());
  return answer.get();
}

struct whole_answer {
  std::string text;
  std::vector<answer_part> parts;
  result<answer_part> last = error{ec::internal, "not yet"};
};

/// An answer in progress; parts are only read after wait().
class asking {
 public:
  asking(client& c, query q, std::function<void()> on_first = {})
      : ticket_(c.ask(
            std::move(q),
            [whole = whole_, on_first](answer_part p) {
              whole->text += p.text;
              whole->parts.push_back(std::move(p));
              if (on_first && whole->parts.size() == 1) on_first();
            },
            last_.callback())) {}

  ticket id() const { return ticket_; }
  whole_answer wait() {
    whole_->last = last_.get();
    return *whole_;
  }

 private:
  std::shared_ptr<whole_answer> whole_ = std::make_shared<whole_answer>();
  awaited<answer_part> last_;
  ticket ticket_;
};

query short_query(const std::string& target = "base") {
  query q;
  q.prompt = "Once upon a time";
  q.target = target;
  q.sampling.max_tokens = 24;
  return q;
}

query long_query() {
  query q = short_query();
  q.sampling.max_tokens = 480;
  q.sampling.ignore_eos = true;
  return q;
}

class client_with_a_real_model : public testing::Test {
 protected:
  client_with_a_real_model() {
    folder_ = std::filesystem::temp_directory_path() /
              ("t2-actors-" + std::to_string(::getpid()) + "-" +
               testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    options_.model.path = tests::assets() / "stories260k-hf";
    // Decompositions are the same for all tests.
    options_.model.svd_cache = (std::filesystem::temp_directory_path() /
                                ("t2-actors-svd-" + std::to_string(::getpid())))
                                   .string();
    options_.engine.threads = 1;
    options_.engine.kv_bytes = 64 << 20;
    options_.store.path = (folder_ / "store.sqlite").string();
    options_.search.population = 8;
    options_.search.iterations = 2;
  }
  ~client_with_a_real_model() override {
    client_.reset();
    std::filesystem::remove_all(folder_);
  }
  static void TearDownTestSuite() {
    std::filesystem::remove_all(
        std::filesystem::temp_directory_path() /
        ("t2-actors-svd-" + std::to_string(::getpid())));
  }

  client& start() {
    client_.reset();
    auto started = client::start(options_, "");
    EXPECT_TRUE(started) << started.error().message;
    client_ = std::move(*started);
    return *client_;
  }

  /// An expert of a few steps on a kind of text.
  result<store_expert_version> train(client& c, const std::string& name,
                                     const std::string& text) {
    training_spec spec;
    spec.name = name;
    spec.format = "text";
    for (int i = 0; i < 12; ++i)
      spec.data += text + " " + std::to_string(i) + "\n\n";
    spec.steps = 4;
    spec.batch = 4;
    spec.validate_every = 2;
    spec.max_tokens = 32;
    spec.learning_rate = 2e-2;
    awaited<store_expert_version> answer;
    c.train_expert(
        spec, [this](train_progress) { ++training_reports_; },
        answer.callback());
    return answer.get();
  }

  store_task task(const std::string& name) {
    store_task t;
    t.name = name;
    t.reward = "logprob";
    for (int i = 0; i < 3; ++i) {
      t.examples.push_back(
          {.id = "e" + std::to_string(i),
           .prompt = "One day, a cat number " + std::to_string(i),
           .answer = " said: hello! hello! hello!"});
    }
    return t;
  }

  result<adapt_report> adapt(client& c, const std::string& name,
                             bool force = false) {
    adapt_request request;
    request.task = name;
    request.force = force;
    request.search = options_.search;
    awaited<adapt_report> answer;
    c.adapt(
        request, [this](adapt_progress) { ++search_reports_; },
        answer.callback());
    return answer.get();
  }

  runtime_options options_;
  std::filesystem::path folder_;
  std::unique_ptr<client> client_;
  std::atomic<int> training_reports_{0};
  std::atomic<int> search_reports_{0};
};

TEST_F(client_with_a_real_model, streams_the_answer_that_a_bare_engine_gives) {
  auto model =
      language_model::load({.folder = options_.model.path,
                            .device = "cpu",
                            .dtype = "auto",
                            .svd_cache = options_.model.svd_cache});
  ASSERT_TRUE(model) << model.error().message;
  engine bare(*model, {.kv_bytes = 64 << 20});
  std::string expected;
  const query q = short_query();
  const auto begun = bare.submit(
      {.prompt = *prompt_tokens(**model, q.prompt, {}),
       .sampling = q.sampling,
       .on_event = [&](const generation_event& e) { expected += e.text; }});
  ASSERT_TRUE(begun);
  while (bare.step()) {
  }

  client& c = start();
  const auto answer = asking(c, q).wait();
  ASSERT_TRUE(answer.last) << answer.last.error().message;
  EXPECT_EQ(answer.text, expected);
  EXPECT_GT(answer.parts.size(), 2u);
  EXPECT_EQ(answer.last->finish_reason, "length");
  EXPECT_EQ(answer.last->answer_tokens, 24);
  EXPECT_LT(answer.last->log_probability, 0);
  ASSERT_TRUE(answer.parts.front().route);
  EXPECT_EQ(answer.parts.front().route->strategy, "base");
  EXPECT_TRUE(answer.parts.back().finish_reason);

  const auto report = wait<health_report>(c, &client::health);
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->ready);
  EXPECT_EQ(report->answered, 1u);
  EXPECT_EQ(report->fingerprint, (*model)->fingerprint());
}

TEST_F(client_with_a_real_model, reports_what_its_engine_has_done) {
  client& c = start();
  const auto before = wait<engine_report>(c, &client::statistics);
  ASSERT_TRUE(before) << before.error().message;
  EXPECT_EQ(before->decode_tokens, 0u);
  const auto whole = asking(c, short_query()).wait();
  ASSERT_TRUE(whole.last);
  const auto after = wait<engine_report>(c, &client::statistics);
  ASSERT_TRUE(after);
  // The first token comes with the last of the prompt.
  EXPECT_EQ(static_cast<std::int64_t>(after->decode_tokens),
            whole.last->answer_tokens - 1);
  EXPECT_GE(after->prefill_tokens + after->prompt_tokens_cached,
            static_cast<std::uint64_t>(whole.last->prompt_tokens));
  EXPECT_GT(after->steps, 0u);
  EXPECT_EQ(after->running, 0);
  EXPECT_EQ(after->step_sequences.size(), after->step_bounds.size() + 1);
  EXPECT_EQ(after->sequences, after->steps) << "one alone";
  std::vector<std::string> plans;
  for (const auto& [plan, steps] : after->plan_steps) plans.push_back(plan);
  EXPECT_NE(std::ranges::find(plans, "base"), plans.end());
  EXPECT_NE(std::ranges::find(plans, "delta"), plans.end());
}

TEST_F(client_with_a_real_model, adapts_a_task_once_and_answers_from_the_store) {
  client* c = &start();
  const auto dialogue = train(*c, "dialogue", "\"Hello!\" said the cat.");
  ASSERT_TRUE(dialogue) << dialogue.error().message;
  EXPECT_EQ(dialogue->version, 1);
  EXPECT_GT(training_reports_, 0);
  const auto lists = train(*c, "lists", "A cat, a dog, a cow, a pig.");
  ASSERT_TRUE(lists) << lists.error().message;

  const auto added = wait<store_task>(*c, &client::add_task, task("cats"));
  ASSERT_TRUE(added) << added.error().message;
  const auto before = asking(*c, short_query("cats")).wait();
  ASSERT_TRUE(before.last) << before.last.error().message;
  EXPECT_EQ(before.parts.front().route->strategy, "base");
  EXPECT_EQ(before.parts.front().route->task, "cats");

  const auto first = adapt(*c, "cats");
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_FALSE(first->reused);
  EXPECT_GT(search_reports_, 0);
  const auto second = adapt(*c, "cats");
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_TRUE(second->reused);
  EXPECT_EQ(second->adaptation.key, first->adaptation.key);

  const auto after = asking(*c, short_query("cats")).wait();
  ASSERT_TRUE(after.last) << after.last.error().message;
  EXPECT_EQ(after.parts.front().route->strategy, "few-shot");
  EXPECT_EQ(after.parts.front().route->adaptation_key, first->adaptation.key);
  EXPECT_EQ(!after.parts.front().route->mixture.components.empty(),
            first->adaptation.accepted);
  const auto counted = wait<health_report>(*c, &client::health);
  EXPECT_EQ(counted->adaptations_computed, 1u);
  EXPECT_EQ(counted->adaptations_reused, 1u);

  // A new process finds it all in the store.
  c = &start();
  const auto third = adapt(*c, "cats");
  ASSERT_TRUE(third) << third.error().message;
  EXPECT_TRUE(third->reused);
  const auto again = asking(*c, short_query("cats")).wait();
  EXPECT_EQ(again.text, after.text);
  const auto fresh = wait<health_report>(*c, &client::health);
  EXPECT_EQ(fresh->adaptations_computed, 0u);

  // Removed and added again, the task keeps what was computed for it.
  ASSERT_TRUE(wait<bool>(*c, &client::remove_task, std::string("cats")));
  ASSERT_TRUE(wait<store_task>(*c, &client::add_task, task("cats")));
  const auto fourth = adapt(*c, "cats");
  ASSERT_TRUE(fourth) << fourth.error().message;
  EXPECT_TRUE(fourth->reused);
  // And so does another one with the same examples.
  ASSERT_TRUE(wait<store_task>(*c, &client::add_task, task("kittens")));
  const auto fifth = adapt(*c, "kittens");
  ASSERT_TRUE(fifth) << fifth.error().message;
  EXPECT_TRUE(fifth->reused);
  EXPECT_EQ(fifth->adaptation.mixture_json, first->adaptation.mixture_json);
  // Forced, it is computed anew.
  const auto sixth = adapt(*c, "cats", true);
  ASSERT_TRUE(sixth) << sixth.error().message;
  EXPECT_FALSE(sixth->reused);
}

TEST_F(client_with_a_real_model, answers_under_an_expert_and_after_its_import) {
  client& c = start();
  ASSERT_TRUE(train(c, "dialogue", "\"Hello!\" said the cat."));
  const auto direct = asking(c, short_query("expert:dialogue")).wait();
  ASSERT_TRUE(direct.last) << direct.last.error().message;
  const auto& route = *direct.parts.front().route;
  EXPECT_EQ(route.strategy, "expert");
  ASSERT_EQ(route.mixture.components.size(), 1u);
  EXPECT_EQ(route.mixture.components[0].expert, "dialogue");
  EXPECT_FALSE(route.from_cache);

  const auto version = wait<store_expert_version>(c, &client::get_expert,
                                                  std::string("dialogue@1"));
  ASSERT_TRUE(version);
  const std::string file(
      reinterpret_cast<const char*>(version->z_safetensors.data()),
      version->z_safetensors.size());
  const auto imported = wait<store_expert_version>(
      c, &client::import_expert, std::string("copy"), file);
  ASSERT_TRUE(imported) << imported.error().message;
  EXPECT_EQ(imported->sha256, version->sha256);
  const auto copied = asking(c, short_query("expert:copy")).wait();
  EXPECT_EQ(copied.text, direct.text);
  EXPECT_TRUE(
      asking(c, short_query("expert:copy")).wait().parts[0].route->from_cache);

  const auto broken = wait<store_expert_version>(
      c, &client::import_expert, std::string("broken"),
      file.substr(0, file.size() / 2));
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().code, ec::corrupt) << broken.error().message;
  const auto unknown = asking(c, short_query("expert:broken")).wait();
  ASSERT_FALSE(unknown.last);
  EXPECT_EQ(unknown.last.error().code, ec::not_found);
}

TEST_F(client_with_a_real_model, classifies_queries_that_name_no_target) {
  options_.route.labels = {"dialogue", "lists: rows of things"};
  options_.route.confidence = 0;
  client& c = start();
  const auto before = asking(c, short_query("auto")).wait();
  ASSERT_TRUE(before.last) << before.last.error().message;
  EXPECT_EQ(before.parts.front().route->strategy, "base");
  ASSERT_TRUE(train(c, "dialogue", "\"Hello!\" said the cat."));
  const auto after = asking(c, short_query("")).wait();
  ASSERT_TRUE(after.last) << after.last.error().message;
  const auto& route = *after.parts.front().route;
  EXPECT_EQ(route.strategy, "prompt");
  EXPECT_TRUE(route.label == "dialogue" || route.label == "lists" ||
              route.label == "other")
      << route.label;
  EXPECT_GT(route.confidence, 0);
  EXPECT_LE(route.confidence, 1);
  EXPECT_EQ(route.mixture.components.size(), route.label == "dialogue");
}

TEST_F(client_with_a_real_model, cancels_an_answer_in_the_middle) {
  client& c = start();
  std::promise<void> begun;
  asking answer(c, long_query(), [&] { begun.set_value(); });
  begun.get_future().wait();
  c.cancel(answer.id());
  const auto whole = answer.wait();
  ASSERT_FALSE(whole.last);
  EXPECT_EQ(whole.last.error().code, ec::cancelled);
  EXPECT_LT(whole.parts.size(), 480u);
}

TEST_F(client_with_a_real_model, ends_an_answer_at_its_deadline) {
  client& c = start();
  ASSERT_TRUE(asking(c, short_query()).wait().last);
  query q = long_query();
  q.deadline_seconds = 0.002;
  const auto whole = asking(c, q).wait();
  ASSERT_FALSE(whole.last);
  EXPECT_EQ(whole.last.error().code, ec::deadline);
}

TEST_F(client_with_a_real_model, is_busy_when_its_queue_is_full) {
  options_.engine.max_sequences = 1;
  options_.server.queue = 1;
  client& c = start();
  ASSERT_TRUE(asking(c, short_query()).wait().last);
  asking running(c, long_query()), waiting(c, long_query());
  asking refused(c, long_query());
  const auto busy = refused.wait();
  ASSERT_FALSE(busy.last);
  EXPECT_EQ(busy.last.error().code, ec::busy);
  EXPECT_TRUE(running.wait().last);
  EXPECT_TRUE(waiting.wait().last);
}

TEST_F(client_with_a_real_model, lets_a_running_answer_end_when_it_stops) {
  client& c = start();
  std::promise<void> begun;
  asking answer(c, long_query(), [&] { begun.set_value(); });
  begun.get_future().wait();
  c.stop(60s);
  const auto whole = answer.wait();
  ASSERT_TRUE(whole.last) << whole.last.error().message;
  EXPECT_EQ(whole.last->answer_tokens, 480);
  const auto late = asking(c, short_query()).wait();
  ASSERT_FALSE(late.last);
  EXPECT_EQ(late.last.error().code, ec::unavailable);
}

TEST_F(client_with_a_real_model, stops_on_any_thread_however_many_calls_wait) {
  client& c = start();
  std::atomic<int> ends{0};
  constexpr int calls = 3000;  // more than the front desk takes at once
  for (int i = 0; i < calls; ++i)
    c.statistics([&ends](const result<engine_report>&) { ++ends; });
  std::thread([&c] { c.stop(0s); }).join();
  EXPECT_EQ(ends, calls);
}

TEST_F(client_with_a_real_model, cancels_running_answers_after_the_grace) {
  client& c = start();
  std::promise<void> begun;
  asking answer(c, long_query(), [&] { begun.set_value(); });
  begun.get_future().wait();
  c.stop(0s);
  const auto whole = answer.wait();
  ASSERT_FALSE(whole.last);
  EXPECT_EQ(whole.last.error().code, ec::cancelled);
}

TEST_F(client_with_a_real_model, keeps_acknowledged_writes_over_a_stop) {
  client& c = start();
  std::vector<awaited<store_task>> added(20);
  for (std::size_t i = 0; i < added.size(); ++i) {
    c.add_task(task("task-" + std::to_string(i)), added[i].callback());
  }
  c.stop(0s);
  std::vector<std::string> acknowledged;
  for (auto& one : added) {
    if (const auto t = one.get()) acknowledged.push_back(t->name);
  }
  const auto kept =
      wait<std::vector<store_task>>(start(), &client::list_tasks);
  ASSERT_TRUE(kept);
  for (const std::string& name : acknowledged) {
    EXPECT_TRUE(std::any_of(kept->begin(), kept->end(),
                            [&](const auto& t) { return t.name == name; }))
        << name;
  }
}

TEST_F(client_with_a_real_model, tells_callers_of_a_crash_and_recovers) {
  client& c = start();
  std::promise<void> begun;
  asking answer(c, long_query(), [&] { begun.set_value(); });
  begun.get_future().wait();

  // An engine that is killed takes its answers with it, and comes back.
  std::promise<peers_ref> met;
  caf::anon_send(client_access::actors(c).front, call_atom_v,
                 front_call_ref(std::make_shared<front_call>(
                     [&](front_desk_state& desk) {
                       met.set_value(desk.others());
                     })));
  const peers_ref others = met.get_future().get();
  caf::anon_send_exit(others->engine, caf::exit_reason::kill);
  const auto lost = answer.wait();
  ASSERT_FALSE(lost.last);
  EXPECT_EQ(lost.last.error().code, ec::unavailable)
      << lost.last.error().message;

  const auto until = std::chrono::steady_clock::now() + patience;
  result<answer_part> last = lost.last;
  while (!last && std::chrono::steady_clock::now() < until) {
    last = asking(c, short_query()).wait().last;
  }
  ASSERT_TRUE(last) << last.error().message;
  EXPECT_EQ(wait<health_report>(c, &client::health)->restarts, 1u);

  caf::anon_send_exit(others->store, caf::exit_reason::kill);
  result<std::vector<store_task>> tasks = error{ec::unavailable, ""};
  while (!tasks && std::chrono::steady_clock::now() < until) {
    tasks = wait<std::vector<store_task>>(c, &client::list_tasks);
  }
  EXPECT_TRUE(tasks) << tasks.error().message;
}

TEST_F(client_with_a_real_model, cancels_a_training_and_an_adaptation) {
  client& c = start();
  ASSERT_TRUE(train(c, "dialogue", "\"Hello!\" said the cat."));
  ASSERT_TRUE(wait<store_task>(c, &client::add_task, task("cats")));

  training_spec spec;
  spec.name = "endless";
  spec.format = "text";
  for (int i = 0; i < 40; ++i)
    spec.data += "A cat and a dog, " + std::to_string(i) + ".\n\n";
  spec.steps = 1'000'000;
  std::promise<void> stepped;
  std::once_flag once;
  awaited<store_expert_version> trained;
  const ticket training = c.train_expert(
      spec,
      [&](train_progress) {
        std::call_once(once, [&] { stepped.set_value(); });
      },
      trained.callback());
  stepped.get_future().wait();

  adapt_request request;
  request.task = "cats";
  request.search = options_.search;
  request.search.iterations = 1'000;
  request.search.tokens = 0;
  request.search.seconds = 0;
  std::promise<void> searching;
  std::once_flag once_more;
  awaited<adapt_report> adapted;
  const ticket search = c.adapt(
      request,
      [&](adapt_progress) {
        std::call_once(once_more, [&] { searching.set_value(); });
      },
      adapted.callback());
  // A search goes on beside a training, and answers beside both.
  searching.get_future().wait();
  EXPECT_TRUE(asking(c, short_query()).wait().last);

  c.cancel(search);
  c.cancel(training);
  const auto no_adaptation = adapted.get();
  ASSERT_FALSE(no_adaptation);
  EXPECT_EQ(no_adaptation.error().code, ec::cancelled);
  const auto no_expert = trained.get();
  ASSERT_FALSE(no_expert);
  EXPECT_EQ(no_expert.error().code, ec::cancelled);
  const auto experts = wait<std::vector<store_expert>>(c, &client::list_experts);
  ASSERT_TRUE(experts);
  EXPECT_EQ(experts->size(), 1u);
}

TEST_F(client_with_a_real_model, decomposes_all_projections_of_the_targets) {
  client& c = start();
  std::int64_t done = 0, total = 0;
  awaited<std::int64_t> answer;
  c.decompose(
      "mlp",
      [&](std::int64_t some, std::int64_t all) {
        done = some;
        total = all;
      },
      answer.callback());
  const auto projections = answer.get();
  ASSERT_TRUE(projections) << projections.error().message;
  EXPECT_EQ(*projections, 15);  // gate, up and down of 5 layers
  EXPECT_EQ(total, 15);
  EXPECT_EQ(done, 15);
  awaited<std::int64_t> refused;
  c.decompose("nothing", {}, refused.callback());
  EXPECT_EQ(refused.get().error().code, ec::invalid_argument);
}

TEST_F(client_with_a_real_model, refuses_a_store_that_another_client_has) {
  start();
  const auto second = client::start(options_, "");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ec::busy);
}

TEST_F(client_with_a_real_model, says_why_a_model_cannot_be_loaded) {
  options_.model.path = (folder_ / "no-such-model").string();
  client& c = start();
  const auto answer = asking(c, short_query()).wait();
  ASSERT_FALSE(answer.last);
  EXPECT_NE(answer.last.error().message.find("no-such-model"),
            std::string::npos)
      << answer.last.error().message;
  const auto report = wait<health_report>(c, &client::health);
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->state.starts_with("failed: ")) << report->state;
  EXPECT_TRUE(wait<std::vector<store_task>>(c, &client::list_tasks))
      << "the store is not the model's";
}

TEST_F(client_with_a_real_model, backs_up_and_checks_its_store) {
  client& c = start();
  ASSERT_TRUE(wait<store_task>(c, &client::add_task, task("cats")));
  const auto problems =
      wait<std::vector<std::string>>(c, &client::check_store);
  ASSERT_TRUE(problems) << problems.error().message;
  EXPECT_TRUE(problems->empty());
  const std::string copy = (folder_ / "copy.sqlite").string();
  const auto made = wait<std::string>(c, &client::backup_store, copy);
  ASSERT_TRUE(made) << made.error().message;
  options_.store.path = copy;
  const auto tasks = wait<std::vector<store_task>>(start(), &client::list_tasks);
  ASSERT_TRUE(tasks);
  ASSERT_EQ(tasks->size(), 1u);
  EXPECT_EQ(tasks->front().name, "cats");
  EXPECT_FALSE(
      wait<std::vector<audit_entry>>(*client_, &client::audit, std::int64_t{5})
          ->empty());
}

TEST_F(client_with_a_real_model, checks_a_task_before_it_takes_it) {
  client& c = start();
  store_task nonsense = task("cats");
  nonsense.reward = "applause";
  const auto refused =
      wait<store_task>(c, &client::add_task, std::move(nonsense));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ec::invalid_argument);
  EXPECT_TRUE(wait<std::vector<store_task>>(c, &client::list_tasks)->empty());
}

}  // namespace
}  // namespace t2
