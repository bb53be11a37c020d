#include "http/serving_metrics.hpp"

#include <utility>

namespace t2 {

void serving_metrics::count_request(const std::string& method,
                                    const std::string& path, int status,
                                    double seconds) {
  const std::lock_guard lock(mutex_);
  ++requests_[{method, path, status}];
  request_time_.add(seconds);
}

void serving_metrics::count_refused_connection() {
  const std::lock_guard lock(mutex_);
  ++refused_connections_;
}

void serving_metrics::set_connections(std::int64_t open) {
  const std::lock_guard lock(mutex_);
  connections_ = open;
}

void serving_metrics::add_first_token(double seconds) {
  const std::lock_guard lock(mutex_);
  first_token_.add(seconds);
}

void serving_metrics::add_tokens(double seconds_each, std::uint64_t count) {
  const std::lock_guard lock(mutex_);
  between_tokens_.add(seconds_each, count);
}

void serving_metrics::write(metrics_text& out) const {
  const std::lock_guard lock(mutex_);
  out.family("t2_http_requests_total", "counter",
             "Requests that have ended; 499: the client left first");
  for (const auto& [of, count] : requests_) {
    const auto& [method, path, status] = of;
    out.sample(static_cast<double>(count), {{"method", method},
                                            {"path", path},
                                            {"status", std::to_string(status)}});
  }
  out.family("t2_http_request_seconds", "histogram",
             "From a request's header to the end of its answer");
  request_time_.write(out);
  out.single("t2_http_connections", "gauge", "Open connections",
             static_cast<double>(connections_));
  out.single("t2_http_connections_refused_total", "counter",
             "Connections over the limit",
             static_cast<double>(refused_connections_));
  out.family("t2_time_to_first_token_seconds", "histogram",
             "From a completion's request to the first token of its answer");
  first_token_.write(out);
  out.family("t2_inter_token_seconds", "histogram",
             "From one token of an answer to the next");
  between_tokens_.write(out);
}

void completion_clock::saw(std::int64_t tokens, time_point now) {
  if (!into_ || tokens <= tokens_) return;
  const double seconds = std::chrono::duration<double>(now - last_).count();
  const auto fresh = static_cast<std::uint64_t>(tokens - tokens_);
  if (tokens_ == 0) {
    into_->add_first_token(seconds);
  } else {
    // Some tokens show no text by themselves and come with the next.
    into_->add_tokens(seconds / static_cast<double>(fresh), fresh);
  }
  tokens_ = tokens;
  last_ = now;
}

}  // namespace t2
