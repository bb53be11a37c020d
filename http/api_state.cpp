#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "http/api_routes.hpp"
#include "http/json_forms.hpp"

namespace t2 {
namespace {

/// Every name that `model` may have: three questions, one answer.
class model_listing {
 public:
  explicit model_listing(exchange_ref answer) : answer_(std::move(answer)) {}

  void add_base(const result<health_report>& health) {
    settle(health, [&] {
      base_ = model_form("base", "base");
      base_["model"] = health->model;
    });
  }
  void add_tasks(const result<std::vector<store_task>>& tasks) {
    settle(tasks, [&] {
      for (const auto& task : *tasks) {
        tasks_.push_back(model_form(task.name, "task"));
      }
    });
  }
  void add_experts(const result<std::vector<store_expert>>& experts) {
    settle(experts, [&] {
      for (const auto& expert : *experts) {
        experts_.push_back(model_form("expert:" + expert.name, "expert"));
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
        ordered_json::array({model_form("auto", "auto"), base_});
    for (auto& task : tasks_) data.push_back(std::move(task));
    for (auto& expert : experts_) data.push_back(std::move(expert));
    reply_json(*answer_, {{"object", "list"}, {"data", std::move(data)}});
  }

  std::mutex mutex_;
  exchange_ref answer_;
  int waiting_ = 3;
  std::optional<error> failure_;
  ordered_json base_;
  std::vector<ordered_json> tasks_, experts_;
};

/// The whole report, or for those who have shown no key what they may know.
ordered_json health_form(const health_report& health,
                         const http_caller& caller) {
  if (caller.scope != http_scope::open) return form_of(health);
  return {{"ready", health.ready},
          {"state", health.state.substr(0, health.state.find(':'))}};
}

}  // namespace

void add_state_routes(router& routes, client& actors) {
  const auto report = [&actors](int status_unready) {
    return [&actors, status_unready](http_request request,
                                     exchange_ref answer) {
      actors.health([answer, status_unready, caller = request.caller](
                        result<health_report> health) {
        if (!health) return answer->reply(error_reply(health.error()));
        http_reply whole{
            .status = health->ready ? 200 : status_unready,
            .body = dump_json(health_form(*health, caller))};
        if (whole.status == 503) whole.headers = {{"Retry-After", "1"}};
        answer->reply(std::move(whole));
      });
    };
  };
  routes.add("GET", "/health", report(200));  // that the process serves
  routes.add("GET", "/ready", report(503));
  routes.add("GET", "/v1/models", [&actors](http_request, exchange_ref answer) {
    const auto listing = std::make_shared<model_listing>(answer);
    actors.health(
        [listing](result<health_report> health) { listing->add_base(health); });
    actors.list_tasks([listing](result<std::vector<store_task>> tasks) {
      listing->add_tasks(tasks);
    });
    actors.list_experts([listing](result<std::vector<store_expert>> experts) {
      listing->add_experts(experts);
    });
  });
}

}  // namespace t2
