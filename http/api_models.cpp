#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "http/api_routes.hpp"
#include "http/json_forms.hpp"

namespace t2 {
namespace {

constexpr const char* expert_prefix = "expert:";

/// OpenAI counts in seconds, the store in microseconds.
std::int64_t in_seconds(std::int64_t microseconds) {
  return microseconds / 1'000'000;
}

ordered_json task_model(const store_task& task) {
  return model_form(task.name, "task", in_seconds(task.created));
}

/// Every name that `model` may have, or the one of them that was asked for:
/// three questions, one answer.
class model_listing {
 public:
  model_listing(exchange_ref answer, std::int64_t started,
                std::optional<std::string> wanted = std::nullopt)
      : answer_(std::move(answer)),
        started_(started),
        wanted_(std::move(wanted)) {}

  void add_base(const result<health_report>& health) {
    settle(health, [&] {
      base_ = model_form("base", "base", started_);
      base_["model"] = health->model;
    });
  }
  void add_tasks(const result<std::vector<store_task>>& tasks) {
    settle(tasks, [&] {
      for (const auto& task : *tasks) tasks_.push_back(task_model(task));
    });
  }
  void add_experts(const result<std::vector<store_expert>>& experts) {
    settle(experts, [&] {
      for (const auto& expert : *experts) {
        experts_.push_back(model_form(expert_prefix + expert.name, "expert",
                                      in_seconds(expert.created)));
      }
    });
  }

 private:
  template <class T, class Then>
  void settle(const result<T>& part, Then then) {
    const std::lock_guard lock(mutex_);
    if (part) {
      then();
    } else if (!failure_) {
      failure_ = part.error();
    }
    if (--waiting_ > 0) return;
    if (failure_) return answer_->reply(error_reply(*failure_));
    ordered_json data =
        ordered_json::array({model_form("auto", "auto", started_), base_});
    for (auto& task : tasks_) data.push_back(std::move(task));
    for (auto& expert : experts_) data.push_back(std::move(expert));
    if (wanted_) return reply_one(data);
    reply_json(*answer_, {{"object", "list"}, {"data", std::move(data)}});
  }

  void reply_one(const ordered_json& all) {
    for (const auto& model : all)
      if (model.at("id") == *wanted_) return reply_json(*answer_, model);
    answer_->reply(model_error(
        {ec::not_found, "no model '" + wanted_->substr(0, 256) + "'"}));
  }

  std::mutex mutex_;
  exchange_ref answer_;
  std::int64_t started_;
  std::optional<std::string> wanted_;
  int waiting_ = 3;
  std::optional<error> failure_;
  ordered_json base_;
  std::vector<ordered_json> tasks_, experts_;
};

void list(client& actors, const std::shared_ptr<model_listing>& listing) {
  actors.health(
      [listing](result<health_report> health) { listing->add_base(health); });
  actors.list_tasks([listing](result<std::vector<store_task>> tasks) {
    listing->add_tasks(tasks);
  });
  actors.list_experts([listing](result<std::vector<store_expert>> experts) {
    listing->add_experts(experts);
  });
}

/// A version of an expert by `expert:NAME@VERSION`; lists have the names alone.
void show_version(client& actors, const std::string& id, exchange_ref answer) {
  actors.get_expert(
      id.substr(std::string_view(expert_prefix).size()),
      [id, answer](result<store_expert_version> version) {
        if (version) {
          return reply_json(*answer, model_form(id, "expert",
                                                in_seconds(version->created)));
        }
        const error& failure = version.error();
        answer->reply(failure.code == ec::not_found ? model_error(failure)
                                                    : error_reply(failure));
      });
}

}  // namespace

void add_model_routes(router& routes, client& actors,
                      const api_options& options) {
  const std::int64_t started = options.now();
  routes.add("GET", "/v1/models",
             [&actors, started](http_request, exchange_ref answer) {
               list(actors, std::make_shared<model_listing>(std::move(answer),
                                                            started));
             });
  routes.add("GET", "/v1/models/{id}",
             [&actors, started](http_request request, exchange_ref answer) {
               const std::string id = request.capture.at("id");
               if (id.starts_with(expert_prefix) &&
                   id.find('@') != std::string::npos) {
                 return show_version(actors, id, std::move(answer));
               }
               list(actors, std::make_shared<model_listing>(std::move(answer),
                                                            started, id));
             });
}

}  // namespace t2
