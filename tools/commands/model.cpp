#include <c10/core/ScalarType.h>

#include <optional>

#include "config/byte_size.hpp"
#include "config/progress_bar.hpp"
#include "config/terminal.hpp"
#include "model/checkpoint.hpp"
#include "model/memory_plan.hpp"
#include "model/model_check.hpp"
#include "model/model_config.hpp"
#include "tools/commands/find_model.hpp"
#include "tools/commands/model_plans.hpp"
#include "tools/commands/model_shelf.hpp"
#include "tools/session.hpp"

namespace t2 {
namespace {

ordered_json config_form(const model_config& config) {
  ordered_json form = {{"type", config.model_type},
                       {"parameters", config.parameters()},
                       {"layers", config.layers},
                       {"hidden", config.hidden},
                       {"intermediate", config.intermediate},
                       {"heads", config.heads},
                       {"kv_heads", config.kv_heads},
                       {"head_dim", config.head_dim},
                       {"vocabulary", config.vocabulary},
                       {"max_positions", config.max_positions},
                       {"tied_embeddings", config.tied_embeddings},
                       {"sliding_window", nullptr}};
  if (config.sliding_window) form["sliding_window"] = *config.sliding_window;
  return form;
}

/// Every plan's parts in bytes.
result<ordered_json> plan_form(session& here, const model_config& config) {
  const auto& given = here.arguments();
  const auto targets = parse_svf_targets(given.get<std::string>("targets"));
  if (!targets) return targets.error();
  if (const auto has = targets->check(config); !has) return has.error();
  const bool full = here.options().values.model.dtype == "float32";
  memory_request request{
      .dtype = full ? c10::ScalarType::Float : c10::ScalarType::BFloat16,
      .targets = *targets,
      .kv_tokens = given.get<std::int64_t>("kv_tokens"),
      .step_tokens = here.options().values.engine.step_tokens,
      .dense_copies = given.get<std::int64_t>("mixtures")};
  ordered_json plans = ordered_json::object();
  for (const linear_plan kind : {linear_plan::base, linear_plan::dense,
                               linear_plan::factored, linear_plan::delta}) {
    request.plan = kind;
    const memory_plan plan = plan_memory(config, request);
    plans[std::string(to_string(kind))] = {{"weights", plan.weights},
                                           {"factors", plan.factors},
                                           {"dense", plan.dense},
                                           {"kv", plan.kv},
                                           {"activations", plan.activations},
                                           {"logits", plan.logits},
                                           {"total", plan.total()}};
  }
  return ordered_json{{"dtype", full ? "float32" : "bfloat16"},
                      {"targets", to_string(*targets)},
                      {"kv_tokens", request.kv_tokens},
                      {"mixtures", request.dense_copies},
                      {"plans", std::move(plans)}};
}

void print_plans(session& here, const ordered_json& memory) {
  here.out() << "\nMemory in " << memory.value("dtype", "") << " with "
             << memory.value("kv_tokens", 0) << " positions in the KV cache, "
             << memory.value("mixtures", 0)
             << " mixture(s) kept dense, adapting "
             << memory.value("targets", "") << ":\n";
  table rows({{"PLAN"},
              {"WEIGHTS", alignment::right},
              {"FACTORS", alignment::right},
              {"DENSE", alignment::right},
              {"KV", alignment::right},
              {"WORK", alignment::right},
              {"TOTAL", alignment::right}});
  for (const auto& [name, plan] : memory.at("plans").items()) {
    const auto size = [&](const char* part) {
      return approximate_byte_size(plan.at(part).get<std::int64_t>());
    };
    const auto work = plan.at("activations").get<std::int64_t>() +
                      plan.at("logits").get<std::int64_t>();
    rows.add_row({name, size("weights"), size("factors"), size("dense"),
                  size("kv"), approximate_byte_size(work), size("total")});
  }
  here.print_table(rows);
}

result<exit_code> show(session& here) {
  const auto model = find_model(here);
  if (!model) return model.error();
  ordered_json form = {{"name", model->name}};
  form.update(config_form(model->config));
  if (model->has_weights) {
    const auto weights = checkpoint::open(model->name);
    if (!weights) return weights.error();
    ordered_json files = ordered_json::array();
    for (const auto& file : weights->source().files()) {
      files.push_back(file.filename().string());
    }
    form["tensors"] = weights->source().tensors().size();
    form["files"] = std::move(files);
  }
  std::optional<ordered_json> memory;
  if (here.arguments().get<bool>("plan_memory")) {
    auto plans = plan_form(here, model->config);
    if (!plans) return plans.error();
    memory = *std::move(plans);
  }
  if (here.json()) {
    if (memory) form["memory"] = *memory;
    here.print_json(form);
    return exit_code::ok;
  }
  table rows({{""}, {""}});
  for (const auto& [name, value] : form.items()) {
    rows.add_row({name, value.is_string() ? value.get<std::string>()
                                          : dump_json(value)});
  }
  here.print_table(rows);
  if (memory) print_plans(here, *memory);
  return exit_code::ok;
}

result<exit_code> check(session& here) {
  const auto model = find_model(here);
  if (!model) return model.error();
  if (!model->has_weights)
    return error{ec::invalid_argument, "MODEL: expected a folder or a GGUF file, "
                                       "found the shape " + model->name};
  const auto found =
      check_model(model->name, here.options().values.model.svd_cache);
  if (!found) return found.error();
  const auto ended =
      found->problems.empty() ? exit_code::ok : exit_code::damaged;
  if (here.json()) {
    here.print_json({{"fingerprint", found->fingerprint},
                     {"remembered", found->remembered.empty()
                                        ? ordered_json(nullptr)
                                        : ordered_json(found->remembered)},
                     {"tensors", found->tensors},
                     {"svd_entries", found->entries},
                     {"problems", found->problems}});
    return ended;
  }
  for (const auto& problem : found->problems)
    here.out() << printable(problem) << "\n";
  if (!found->problems.empty()) return ended;
  here.out() << "Read " << found->tensors << " tensors and " << found->entries
             << " entries of the SVD cache: "
             << (found->remembered.empty() ? "never loaded before, fingerprint "
                                           : "all as they were, fingerprint ")
             << found->fingerprint << ".\n";
  return ended;
}

result<exit_code> decompose(session& here) {
  const auto api = here.ready_api();
  if (!api) return api.error();
  std::optional<progress_bar> bar;
  const auto done = (*api)->follow(
      "/v1/svd", {{"targets", here.arguments().get<std::string>("targets")}},
      [&](const ordered_json& progress) {
        if (!bar) {
          bar.emplace(here.err(),
                      progress_bar::settings{
                          .label = "decomposing",
                          .total = progress.value("total", std::size_t{0}),
                          .unit = "projections",
                          .live = is_terminal(2),
                          .width = terminal_width(2, here.env())});
        }
        bar->show(progress.value("done", std::size_t{0}));
      });
  bar.reset();
  if (!done) return done.error();
  if (here.json()) {
    here.print_json(*done);
  } else {
    here.out() << "Decomposed " << done->value("decomposed", 0)
               << " projections.\n";
  }
  return exit_code::ok;
}

}  // namespace

std::vector<command_entry> model_commands() {
  const option targets{.name = "targets",
                       .value = std::string("all"),
                       .help =
                           "weights that are adapted, as for t2 expert train"};
  std::string shapes = "a folder, a GGUF file, or a shape:";
  for (const auto shape : preset_shapes()) shapes += " " + std::string(shape);
  return {model_add_command(),
          model_list_command(),
          {{.name = "model show",
            .summary = "Show a model, and what memory its plans need",
            .positionals = {{.name = "MODEL",
                             .help = shapes + "; model.path without",
                             .required = false}},
            .options = {{.name = "plan_memory",
                         .kind = option_kind::boolean,
                         .value = false,
                         .help = "bytes of each plan's parts"},
                        targets,
                        {.name = "kv_tokens",
                         .kind = option_kind::integer,
                         .value = std::int64_t{4096},
                         .help = "positions of all sequences together",
                         .unit = "N"},
                        {.name = "mixtures",
                         .kind = option_kind::integer,
                         .value = std::int64_t{1},
                         .help = "mixtures that the dense plan keeps",
                         .unit = "N"}}},
           show},
          {{.name = "model check",
            .summary = "Read every byte of a model and its SVD cache anew",
            .positionals = {{.name = "MODEL",
                             .help = "a folder or a GGUF file; model.path without",
                             .required = false}}},
           check},
          model_plans_command(targets, shapes),
          {{.name = "model svd",
            .summary = "Decompose what the SVD cache lacks",
            .options = {targets}},
           decompose}};
}

}  // namespace t2
