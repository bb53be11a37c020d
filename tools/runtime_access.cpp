#include "tools/runtime_access.hpp"

#include <stdlib.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "actors/client.hpp"
#include "http/api.hpp"
#include "http/server.hpp"
#include "tools/serving.hpp"

namespace t2 {
namespace {

/// Options that a daemon has settled already, as the user gave them.
std::string flags_without_effect(const loaded_options& options) {
  std::string names;
  for (const auto& origin : options.origins) {
    const bool settled = origin.name.starts_with("model.") ||
                         origin.name.starts_with("engine.") ||
                         origin.name.starts_with("store.") ||
                         origin.name.starts_with("route.");
    if (settled && origin.source == option_source::flag) {
      names += (names.empty() ? "" : ", ") + origin.where;
    }
  }
  return names;
}

result<std::filesystem::path> make_private_folder() {
  const char* base = ::getenv("TMPDIR");
  std::string name = std::string(base && *base ? base : "/tmp") + "/t2-XXXXXX";
  // A socket's path is short; a temporary folder's need not be.
  if (name.size() > 60) name = "/tmp/t2-XXXXXX";
  if (!::mkdtemp(name.data())) {
    return error{ec::io,
                 name + ": cannot make a folder: " + std::strerror(errno)};
  }
  return std::filesystem::path(name);
}

}  // namespace

runtime_access::runtime_access(const interrupt& signals,
                               std::function<void(const std::string&)> tell)
    : signals_(signals), tell_(std::move(tell)) {}

result<std::unique_ptr<runtime_access>> runtime_access::open(
    const loaded_options& options, const interrupt& signals,
    std::function<void(const std::string&)> tell, bool with_model) {
  std::unique_ptr<runtime_access> made(
      new runtime_access(signals, std::move(tell)));
  made->api_ = std::make_unique<api_client>(
      http_client::settings{.socket = options.values.server.socket,
                            .interrupt = signals.descriptor()});
  const auto answer = made->api_->health();
  if (answer) {
    const std::string settled = flags_without_effect(options);
    if (!settled.empty()) {
      made->tell_("a daemon answers on " + options.values.server.socket +
                  ": of no effect here: " + settled);
    }
    return made;
  }
  const ec code = answer.error().code;
  if (code != ec::not_found && code != ec::unavailable) return answer.error();
  if (with_model) {
    if (auto there = check_model_path(options.values); !there) {
      return there.error();
    }
  }
  if (auto started = made->start_actors(options.values); !started) {
    return started.error();
  }
  return made;
}

result<void> runtime_access::start_actors(const runtime_options& options) {
  if (auto made = make_store_folder(options); !made) return made.error();
  auto actors = client::start(options, "");
  if (!actors) return actors.error();
  actors_ = *std::move(actors);
  auto folder = make_private_folder();
  if (!folder) return folder.error();
  folder_ = *std::move(folder);
  auto listening = server::start(folder_ / "socket",
                                 make_api(*actors_, {.search = options.search}),
                                 limits_of(options));
  if (!listening) return listening.error();
  server_ = *std::move(listening);
  api_ = std::make_unique<api_client>(http_client::settings{
      .socket = folder_ / "socket", .interrupt = signals_.descriptor()});
  return {};
}

result<void> runtime_access::wait_until_ready() {
  bool told = false;
  const auto begin = std::chrono::steady_clock::now();
  for (;;) {
    const auto health = api_->health();
    if (!health) return health.error();
    const std::string state = health->value("state", "");
    if (health->value("ready", false)) return {};
    if (state != "loading") return error{ec::unavailable, "t2 is " + state};
    const auto waited = std::chrono::steady_clock::now() - begin;
    if (!told && waited > std::chrono::milliseconds(500)) {
      tell_("loading the model");
      told = true;
    }
    if (signals_.wait(20)) return error{ec::cancelled, "interrupted"};
  }
}

runtime_access::~runtime_access() {
  if (server_) server_->drain();
  if (actors_) actors_->stop(std::chrono::milliseconds(0));
  server_.reset();
  actors_.reset();
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

}  // namespace t2
