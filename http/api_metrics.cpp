#include <unistd.h>

#include <array>
#include <cstdint>
#include <fstream>
#include <vector>

#include "http/api_routes.hpp"
#include "http/metrics_text.hpp"
#include "http/serving_metrics.hpp"

namespace t2 {
namespace {

void write_process(metrics_text& out) {
  std::int64_t total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  const auto page = static_cast<double>(::sysconf(_SC_PAGESIZE));
  out.single("process_virtual_memory_bytes", "gauge", "Address space",
             static_cast<double>(total) * page);
  out.single("process_resident_memory_bytes", "gauge", "Memory in use",
             static_cast<double>(resident) * page);
}

void write_health(metrics_text& out, const health_report& health) {
  const auto gauge = [&](const char* name, const char* help,
                         std::int64_t value) {
    out.single(name, "gauge", help, static_cast<double>(value));
  };
  const auto counter = [&](const char* name, const char* help,
                           std::uint64_t value) {
    out.single(name, "counter", help, static_cast<double>(value));
  };
  gauge("t2_ready", "1 when the model is loaded and queries are taken",
        health.ready ? 1 : 0);
  gauge("t2_queries_queued", "Queries that wait", health.queued);
  gauge("t2_queries_running", "Queries being answered", health.running);
  counter("t2_queries_answered_total", "Queries answered", health.answered);
  gauge("t2_searches_running", "Adaptations under way", health.searches);
  gauge("t2_trainings_running", "Trainings under way", health.trainings);
  counter("t2_adaptations_computed_total", "Adaptations that were searched",
          health.adaptations_computed);
  counter("t2_adaptations_reused_total", "Adaptations found in the store",
          health.adaptations_reused);
  counter("t2_actor_restarts_total", "Parts started again after a failure",
          health.restarts);
}

void write_engine(metrics_text& out, const engine_report& engine) {
  const auto gauge = [&](const char* name, const char* help,
                         std::int64_t value) {
    out.single(name, "gauge", help, static_cast<double>(value));
  };
  const auto counter = [&](const char* name, const char* help,
                           std::uint64_t value) {
    out.single(name, "counter", help, static_cast<double>(value));
  };
  counter("t2_engine_steps_total", "Packed steps", engine.steps);
  out.family("t2_engine_plan_steps_total", "counter",
             "Steps by the plan of their linear maps");
  for (const auto& [plan, steps] : engine.plan_steps) {
    out.sample(static_cast<double>(steps), {{"plan", plan}});
  }
  out.family("t2_engine_step_sequences", "histogram",
             "Sequences in one packed step");
  out.histogram(engine.step_bounds, engine.step_sequences,
                static_cast<double>(engine.sequences));
  out.family("t2_engine_tokens_total", "counter",
             "Tokens computed, by purpose");
  const std::string prefill = "prefill", decode = "decode", scored = "scored";
  out.sample(static_cast<double>(engine.prefill_tokens),
             {{"purpose", prefill}});
  out.sample(static_cast<double>(engine.decode_tokens), {{"purpose", decode}});
  out.sample(static_cast<double>(engine.scored_tokens), {{"purpose", scored}});
  counter("t2_prompt_tokens_total", "Tokens of the prompts that were begun",
          engine.prompt_tokens);
  counter("t2_prompt_tokens_cached_total",
          "Tokens of prompts found in the prefix cache",
          engine.prompt_tokens_cached);
  counter("t2_engine_preemptions_total",
          "Sequences whose cache was taken away for a while",
          engine.preemptions);
  counter("t2_engine_dense_builds_total",
          "Dense copies of adapted weights made", engine.dense_builds);
  gauge("t2_engine_sequences_running", "Sequences with keys and values",
        engine.running);
  gauge("t2_engine_sequences_waiting", "Sequences that wait for room",
        engine.waiting);
  gauge("t2_kv_cache_used_bytes", "Keys and values of what is computed",
        engine.kv_bytes_used);
  gauge("t2_kv_cache_kept_bytes", "Of ended answers, for prompts that begin alike",
        engine.kv_bytes_cached);
  gauge("t2_kv_cache_budget_bytes", "Most that keys and values may take",
        engine.kv_bytes_budget);
  gauge("t2_dense_weights_bytes", "Dense copies of adapted weights held",
        engine.dense_bytes_used);
}

void send(exchange& answer, const metrics_text& out) {
  answer.reply({.content_type = "text/plain; version=0.0.4; charset=utf-8",
                .body = out.text()});
}

}  // namespace

void add_metrics_routes(router& routes, client& actors,
                        const api_options& options) {
  routes.add("GET", "/metrics", [&actors, metrics = options.metrics](
                                    http_request, exchange_ref answer) {
    const auto out = std::make_shared<metrics_text>();
    write_process(*out);
    if (metrics) metrics->write(*out);
    actors.health([&actors, answer, out](result<health_report> health) {
      if (health) write_health(*out, *health);
      // An engine that loads would answer when it has loaded.
      if (!health || !health->ready) return send(*answer, *out);
      actors.statistics([answer, out](result<engine_report> engine) {
        if (engine) write_engine(*out, *engine);
        send(*answer, *out);
      });
    });
  });
}

}  // namespace t2
