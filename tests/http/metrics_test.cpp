#include <gtest/gtest.h>

#include "http/metrics_text.hpp"
#include "http/serving_metrics.hpp"

namespace t2 {
namespace {

bool has(const std::string& text, std::string_view line) {
  return ("\n" + text).find("\n" + std::string(line) + "\n") !=
         std::string::npos;
}

TEST(metrics_text, writes_what_prometheus_reads) {
  metrics_text out;
  out.single("up", "gauge", "Whether it is", 1);
  out.family("seen_total", "counter", "Things");
  const std::string quoted = "a \"b\" \\ \n";
  out.sample(2.5, {{"kind", quoted}, {"other", std::string("x")}});
  EXPECT_EQ(out.text(),
            "# HELP up Whether it is\n"
            "# TYPE up gauge\n"
            "up 1\n"
            "# HELP seen_total Things\n"
            "# TYPE seen_total counter\n"
            "seen_total{kind=\"a \\\"b\\\" \\\\ \\n\",other=\"x\"} 2.5\n");
}

TEST(metrics_text, a_histogram_counts_up_to_its_bounds) {
  metrics_text out;
  out.family("size", "histogram", "Sizes");
  const std::vector<double> bounds{1, 2.5};
  const std::vector<std::uint64_t> counts{3, 0, 4};
  const double sum = 40;
  out.histogram(bounds, counts, sum);
  EXPECT_EQ(out.text(),
            "# HELP size Sizes\n# TYPE size histogram\n"
            "size_bucket{le=\"1\"} 3\nsize_bucket{le=\"2.5\"} 3\n"
            "size_bucket{le=\"+Inf\"} 7\nsize_sum 40\nsize_count 7\n");
}

TEST(latency_histogram, puts_a_time_at_a_bound_under_it) {
  latency_histogram times;
  times.add(0.001);
  times.add(0.0011);
  times.add(1000, 2);
  metrics_text out;
  out.family("t", "histogram", "");
  times.write(out);
  EXPECT_TRUE(has(out.text(), "t_bucket{le=\"0.001\"} 1")) << out.text();
  EXPECT_TRUE(has(out.text(), "t_bucket{le=\"0.0025\"} 2"));
  EXPECT_TRUE(has(out.text(), "t_bucket{le=\"30\"} 2"));
  EXPECT_TRUE(has(out.text(), "t_bucket{le=\"+Inf\"} 4"));
  EXPECT_TRUE(has(out.text(), "t_count 4"));
}

TEST(serving_metrics, counts_requests_by_route_and_status) {
  serving_metrics metrics;
  metrics.count_request("GET", "/v1/tasks/{name}", 200, 0.01);
  metrics.count_request("GET", "/v1/tasks/{name}", 200, 0.01);
  metrics.count_request("GET", "/v1/tasks/{name}", 404, 0.01);
  metrics_text out;
  metrics.write(out);
  EXPECT_TRUE(has(out.text(),
                  "t2_http_requests_total{method=\"GET\",path=\"/v1/tasks/"
                  "{name}\",status=\"200\"} 2"));
  EXPECT_TRUE(has(out.text(),
                  "t2_http_requests_total{method=\"GET\",path=\"/v1/tasks/"
                  "{name}\",status=\"404\"} 1"));
  EXPECT_TRUE(has(out.text(), "t2_http_request_seconds_count 3"));
}

TEST(completion_clock, times_the_first_token_and_then_those_between) {
  const auto metrics = std::make_shared<serving_metrics>();
  const completion_clock::time_point start{};
  completion_clock clock(metrics, start);
  const auto at = [&](int milliseconds) {
    return start + std::chrono::milliseconds(milliseconds);
  };
  clock.saw(0, at(50));  // nothing yet
  clock.saw(1, at(200));
  clock.saw(2, at(240));
  clock.saw(4, at(360));  // two at once: 60 ms each
  clock.saw(4, at(900));  // the end, nothing new
  metrics_text out;
  metrics->write(out);
  const auto& text = out.text();
  EXPECT_TRUE(has(text, "t2_time_to_first_token_seconds_sum 0.2")) << text;
  EXPECT_TRUE(has(text, "t2_time_to_first_token_seconds_count 1"));
  EXPECT_TRUE(has(text, "t2_inter_token_seconds_bucket{le=\"0.05\"} 1"));
  EXPECT_TRUE(has(text, "t2_inter_token_seconds_bucket{le=\"0.1\"} 3"));
  EXPECT_TRUE(has(text, "t2_inter_token_seconds_count 3"));
}

TEST(completion_clock, without_metrics_measures_nothing) {
  completion_clock clock(nullptr);
  clock.saw(1);
  clock.saw(2);
}

}  // namespace
}  // namespace t2
