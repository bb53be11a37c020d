#include "http/json_forms.hpp"

#include <algorithm>
#include <utility>

namespace t2 {
namespace {

/// A text of which none is an empty one.
ordered_json text_or_null(const std::string& text) {
  if (text.empty()) return nullptr;
  return text;
}

}  // namespace

ordered_json form_of(const health_report& health) {
  return {{"ready", health.ready},
          {"state", health.state},
          {"model", health.model},
          {"fingerprint", health.fingerprint},
          {"device", health.device},
          {"dtype", health.dtype},
          {"chat_template", health.chat_template},
          {"queued", health.queued},
          {"running", health.running},
          {"searches", health.searches},
          {"trainings", health.trainings},
          {"answered", health.answered},
          {"adaptations_computed", health.adaptations_computed},
          {"adaptations_reused", health.adaptations_reused},
          {"restarts", health.restarts}};
}

ordered_json form_of(const mixture_summary& mixture) {
  ordered_json components = ordered_json::array();
  for (const auto& part : mixture.components) {
    components.push_back({{"expert", part.expert},
                          {"version", part.version},
                          {"alpha", part.alpha}});
  }
  return {{"rule", text_or_null(mixture.rule)},
          {"components", std::move(components)}};
}

ordered_json form_of(const routing& route) {
  ordered_json form = {{"strategy", route.strategy},
                       {"task", text_or_null(route.task)},
                       {"form", text_or_null(route.form)},
                       {"label", text_or_null(route.label)},
                       {"confidence", nullptr},
                       {"reason", text_or_null(route.reason)},
                       {"adaptation", text_or_null(route.adaptation_key)},
                       {"cached", route.from_cache},
                       {"mixture", form_of(route.mixture)}};
  if (!route.label.empty()) {
    form["confidence"] = route.confidence;
    for (const auto& [label, probability] : route.probabilities)
      form["probabilities"][label] = probability;
  }
  return form;
}

ordered_json form_of(const store_example& example) {
  ordered_json form = {{"id", example.id}};
  const ordered_json extra = embedded_json(example.extra_json);
  if (!extra.is_object() || !extra.contains("messages")) {
    form["prompt"] = example.prompt;
  }
  form["answer"] = example.answer;
  if (extra.is_object()) form.update(extra);
  return form;
}

ordered_json form_of(const store_task& task) {
  ordered_json examples = ordered_json::array();
  for (const auto& example : task.examples) {
    examples.push_back(form_of(example));
  }
  // Conversations go through the chat template in either form.
  const bool talks = !examples.empty() &&
                     std::ranges::all_of(examples, [](const auto& example) {
                       return example.contains("messages");
                     });
  return {
      {"object", "task"},        {"name", task.name},
      {"base", task.base},       {"description", task.description},
      {"reward", task.reward},   {"form", talks ? "chat" : task.form},
      {"options", embedded_json(task.options_json)},
      {"created", task.created}, {"examples", std::move(examples)}};
}

ordered_json form_of(const store_expert& expert) {
  return {{"object", "expert"},
          {"name", expert.name},
          {"base", expert.base},
          {"description", expert.description},
          {"version", expert.current_version},
          {"created", expert.created}};
}

ordered_json form_of(const store_expert_version& version) {
  return {{"object", "expert.version"},
          {"expert", version.expert},
          {"version", version.version},
          {"base", version.base},
          {"bytes", version.z_bytes},
          {"sha256", version.sha256},
          {"parent", version.parent_version},
          {"norm", version.norm},
          {"targets", version.targets},
          {"provenance", embedded_json(version.provenance_json)},
          {"created", version.created}};
}

ordered_json form_of(const store_adaptation& adaptation) {
  ordered_json used = ordered_json::array();
  for (const auto& ref : adaptation.used) {
    used.push_back({{"expert", ref.expert}, {"version", ref.version}});
  }
  return {{"object", "adaptation"},
          {"key", adaptation.key},
          {"base", adaptation.base},
          {"accepted", adaptation.accepted},
          {"truncated", adaptation.truncated},
          {"mixture", embedded_json(adaptation.mixture_json)},
          {"scores", embedded_json(adaptation.scores_json)},
          {"cost", embedded_json(adaptation.cost_json)},
          {"used", std::move(used)},
          {"created", adaptation.created}};
}

ordered_json form_of(const adapt_progress& progress) {
  return {
      {"iteration", progress.iteration},   {"iterations", progress.iterations},
      {"best_score", progress.best_score}, {"base_score", progress.base_score},
      {"tokens", progress.tokens},         {"seconds", progress.seconds}};
}

ordered_json form_of(const adapt_report& report) {
  ordered_json form = form_of(report.adaptation);
  form["reused"] = report.reused;
  return form;
}

ordered_json form_of(const train_progress& progress) {
  ordered_json form = {{"step", progress.step},
                       {"steps", progress.steps},
                       {"loss", progress.loss},
                       {"validation_loss", progress.validation_loss},
                       {"gradient_norm", progress.gradient_norm},
                       {"learning_rate", progress.learning_rate},
                       {"seconds", progress.seconds}};
  if (progress.sampled) {
    form["reward"] = progress.reward;
    form["kl"] = progress.kl;
    form["length"] = progress.length;
    form["validation_reward"] = progress.validation_reward;
    form["best_validation_reward"] = progress.best_validation_reward;
  }
  return form;
}

ordered_json form_of(const audit_entry& entry) {
  return {{"sequence", entry.sequence},
          {"time", entry.time},
          {"action", entry.action},
          {"subject", entry.subject},
          {"detail", embedded_json(entry.detail_json)}};
}

ordered_json form_of(const seen_by& seen) {
  return {{"owner", seen.owner},
          {"prompts", seen.hashes ? ordered_json(*seen.hashes)
                                  : ordered_json(nullptr)}};
}

ordered_json form_of(const store_evaluation& evaluation) {
  return {{"object", "evaluation"},
          {"id", evaluation.id},
          {"base", evaluation.base},
          {"dataset", evaluation.dataset},
          {"data_sha256", evaluation.data_sha256},
          {"scores", embedded_json(evaluation.scores_json)},
          {"created", evaluation.created}};
}

ordered_json form_of(const expert_heatmap& map) {
  ordered_json rows = ordered_json::array();
  for (const auto& row : map.rows) {
    rows.push_back({{"layer", row.layer ? ordered_json(*row.layer)
                                        : ordered_json(nullptr)},
                    {"projection", row.projection},
                    {"rank", row.rank},
                    {"mean", row.mean},
                    {"min", row.least},
                    {"max", row.most},
                    {"distance", row.distance}});
  }
  return {{"object", "expert.heatmap"},
          {"expert", map.expert},
          {"version", map.version},
          {"targets", map.targets},
          {"data", std::move(rows)}};
}

ordered_json model_form(const std::string& id, const std::string& kind,
                        std::int64_t created) {
  const bool adapted = kind == "task" || kind == "expert";
  return {{"id", id},
          {"object", "model"},
          {"created", created},
          {"owned_by", "t2"},
          {"parent", adapted ? ordered_json("base") : ordered_json(nullptr)},
          {"kind", kind}};
}

}  // namespace t2
