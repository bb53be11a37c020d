#include "adaptation/mixture.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

namespace t2 {
namespace {

using nlohmann::json;

error broken(const std::string& what) {
  return {ec::corrupt, "mixture: " + what};
}

result<mixture_component> parse_component(const json& entry) {
  if (!entry.is_object() || !entry.contains("expert") ||
      !entry["expert"].is_string() || !entry.contains("version") ||
      !entry["version"].is_number_integer() || !entry.contains("alpha") ||
      !entry["alpha"].is_array() || entry.size() != 3)
    return broken(
        "expected a component of expert (text), version (integer) and alpha "
        "(numbers)");
  mixture_component component;
  component.expert = entry["expert"].get<std::string>();
  component.version = entry["version"].get<std::int64_t>();
  for (const json& value : entry["alpha"]) {
    if (!value.is_number())
      return broken("expected numbers in alpha of " + component.expert);
    const float alpha = value.get<float>();
    if (!std::isfinite(alpha))
      return broken("expected finite alpha of " + component.expert);
    component.alpha.push_back(alpha);
  }
  if (component.alpha.empty())
    return broken("expected an alpha of " + component.expert + ", found none");
  return component;
}

}  // namespace

std::string_view to_string(mixture_rule rule) {
  return rule == mixture_rule::delta ? "delta" : "paper";
}

result<mixture_rule> parse_mixture_rule(std::string_view text) {
  if (text == "delta") return mixture_rule::delta;
  if (text == "paper") return mixture_rule::paper;
  return error{ec::invalid_argument,
               "rule: expected delta or paper, found '" + std::string{text} +
                   "'"};
}

std::string to_json(const mixture& m) {
  json components = json::array();
  for (const mixture_component& c : m.components)
    components.push_back(
        {{"expert", c.expert}, {"version", c.version}, {"alpha", c.alpha}});
  return json{{"rule", std::string{to_string(m.rule)}},
              {"components", components}}
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

result<mixture> parse_mixture(std::string_view text) {
  const json root = json::parse(text, nullptr, false);
  if (!root.is_object() || !root.contains("rule") ||
      !root["rule"].is_string() || !root.contains("components") ||
      !root["components"].is_array() || root.size() != 2)
    return broken("expected an object of rule (text) and components (list)");
  const auto rule = parse_mixture_rule(root["rule"].get<std::string>());
  if (!rule) return broken(rule.error().message);
  mixture m{.rule = *rule, .components = {}};
  for (const json& entry : root["components"]) {
    auto component = parse_component(entry);
    if (!component) return component.error();
    if (!m.components.empty() &&
        m.components.front().alpha.size() != component->alpha.size())
      return broken("expected " +
                    std::to_string(m.components.front().alpha.size()) +
                    " alpha of " + component->expert + ", found " +
                    std::to_string(component->alpha.size()));
    m.components.push_back(*std::move(component));
  }
  return m;
}

mixture_summary summary(const mixture& m) {
  return {std::string{to_string(m.rule)}, m.components};
}

}  // namespace t2
