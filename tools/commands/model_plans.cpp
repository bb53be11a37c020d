#include "tools/commands/model_plans.hpp"

#include <ATen/Parallel.h>

#include <array>
#include <cstdio>

#include "config/terminal.hpp"
#include "model/device.hpp"
#include "model/plan_costs.hpp"
#include "tools/commands/find_model.hpp"
#include "tools/session.hpp"

namespace t2 {
namespace {

constexpr std::array<std::int64_t, 5> shown_rows{1, 8, 32, 128, 512};
constexpr std::array<std::int64_t, 3> shown_mixtures{1, 4, 8};

/// Rows dealt out to mixtures as evenly as it goes.
std::vector<std::int64_t> deal(std::int64_t rows, std::int64_t mixtures) {
  std::vector<std::int64_t> out;
  for (; mixtures > 0; --mixtures) {
    out.push_back((rows + mixtures - 1) / mixtures);
    rows -= out.back();
  }
  return out;
}

ordered_json step_form(const plan_costs& costs, const linear_shares& adapted,
                       std::int64_t rows, std::int64_t mixtures) {
  const auto dealt = deal(rows, mixtures);
  const plan_question asked{.mixture_rows = dealt, .adapted = adapted};
  const auto with_copies =
      mixtures == 1 ? linear_plan::dense : linear_plan::grouped_dense;
  const auto without = costs.without_copies(asked);
  ordered_json form = {{"rows", rows}, {"mixtures", mixtures}};
  for (const auto plan : {linear_plan::base, with_copies, linear_plan::factored,
                          linear_plan::delta})
    form["seconds"][plan == with_copies ? "dense" : std::string(to_string(plan))] =
        costs.seconds(plan, asked);
  const auto saved =
      costs.seconds(without, asked) - costs.seconds(with_copies, asked);
  form["chosen"] = to_string(saved > 0 ? with_copies : without);
  form["without_copies"] = to_string(without);
  // Steps until the copies of these mixtures have paid for themselves.
  form["copies_pay_after_steps"] = nullptr;
  if (saved > 0)
    form["copies_pay_after_steps"] = static_cast<std::int64_t>(
        static_cast<double>(mixtures) * costs.build_seconds(adapted) / saved +
        1);
  return form;
}

void print(session& here, const ordered_json& form) {
  here.out() << "Milliseconds of a step's linear maps in "
             << form.value("dtype", "") << ", adapting "
             << form.value("targets", "") << "; a dense copy takes "
             << static_cast<std::int64_t>(
                    1e3 * form.value("build_seconds", 0.0))
             << " ms:\n";
  table rows({{"ROWS", alignment::right},
              {"MIXTURES", alignment::right},
              {"BASE", alignment::right},
              {"DENSE", alignment::right},
              {"FACTORED", alignment::right},
              {"DELTA", alignment::right},
              {"CHOSEN"},
              {"COPIES PAY AFTER", alignment::right}});
  for (const auto& step : form.at("steps")) {
    const auto cell = [&](const char* plan) {
      char text[32];
      std::snprintf(text, sizeof text, "%.2f",
                    1e3 * step.at("seconds").at(plan).get<double>());
      return std::string(text);
    };
    const auto& pay = step.at("copies_pay_after_steps");
    rows.add_row({std::to_string(step.value("rows", 0)),
                  std::to_string(step.value("mixtures", 0)), cell("base"),
                  cell("dense"), cell("factored"), cell("delta"),
                  step.value("chosen", ""),
                  pay.is_null() ? "never" : dump_json(pay) + " steps"});
  }
  here.print_table(rows);
}

result<exit_code> show_plans(session& here) {
  const auto model = find_model(here);
  if (!model) return model.error();
  const auto targets =
      parse_svf_targets(here.arguments().get<std::string>("targets"));
  if (!targets) return targets.error();
  if (const auto has = targets->check(model->config); !has) return has.error();
  const auto& options = here.options().values;
  const auto device = open_device(options.model.device);
  if (!device) return device.error();
  if (options.engine.threads > 0)
    at::set_num_threads(static_cast<int>(options.engine.threads));
  const bool full = options.model.dtype == "float32";
  const auto costs = plan_costs::load_or_measure(
      options.model.svd_cache, model->config,
      full ? c10::ScalarType::Float : c10::ScalarType::BFloat16, *device);
  const auto adapted =
      adapted_share(model->config, svf_layout{model->config, *targets});
  ordered_json form = {{"model", model->name},
                       {"device", device->str()},
                       {"dtype", full ? "float32" : "bfloat16"},
                       {"threads", at::get_num_threads()},
                       {"targets", to_string(*targets)},
                       {"build_seconds", costs.build_seconds(adapted)}};
  for (const auto mixtures : shown_mixtures)
    for (const auto rows : shown_rows)
      if (mixtures <= rows)
        form["steps"].push_back(step_form(costs, adapted, rows, mixtures));
  if (here.json()) here.print_json(form);
  else print(here, form);
  return exit_code::ok;
}

}  // namespace

command_entry model_plans_command(const option& targets,
                                  const std::string& shapes) {
  return {{.name = "model plans",
           .summary = "Show what the plans of a step cost on this machine",
           .positionals = {{.name = "MODEL",
                            .help = shapes + "; model.path without",
                            .required = false}},
           .options = {targets}},
          show_plans};
}

}  // namespace t2
