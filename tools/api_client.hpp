#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "config/result.hpp"
#include "http/http_client.hpp"
#include "http/json.hpp"

namespace t2 {

/// The /v1 paths as calls: an HTTP status that tells of a failure is the
/// error that it stands for. Blocks; any thread.
class api_client {
 public:
  explicit api_client(http_client::settings settings)
      : http_(std::move(settings)) {}

  const http_client& http() const { return http_; }

  result<ordered_json> get(std::string_view target) const;
  result<ordered_json> post(std::string_view target,
                            const ordered_json& body) const;
  result<ordered_json> remove(std::string_view target) const;
  /// What /health says, ready or not.
  result<ordered_json> health() const;
  /// An expert's file.
  result<std::string> download(std::string_view target) const;
  result<ordered_json> upload(std::string_view target,
                              std::string_view file) const;

  /// A stream of `progress` events and one `result`, which is returned. An
  /// interrupt leaves it; with `keep` it asks the job to end with what it has,
  /// and waits for that.
  enum class on_interrupt { leave, keep };
  result<ordered_json> follow(
      std::string_view target, const ordered_json& body,
      const std::function<void(const ordered_json&)>& on_progress,
      on_interrupt policy = on_interrupt::leave) const;

  /// A completion's chunks.
  result<void> complete(
      std::string_view target, const ordered_json& body,
      const std::function<void(const ordered_json&)>& on_chunk) const;

 private:
  result<ordered_json> send(std::string_view method, std::string_view target,
                            std::string_view body,
                            std::string_view content_type) const;

  bool stop_job(const std::string& id) const;

  http_client http_;
};

}  // namespace t2
