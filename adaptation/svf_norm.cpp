#include "adaptation/svf_norm.hpp"

#include <string>

namespace t2 {

std::string_view to_string(svf_norm norm) {
  return norm == svf_norm::none ? "none" : "nuclear";
}

result<svf_norm> parse_svf_norm(std::string_view text) {
  if (text == "none") return svf_norm::none;
  if (text == "nuclear") return svf_norm::nuclear;
  return error{ec::invalid_argument,
               "norm: expected none or nuclear, found '" + std::string{text} +
                   "'"};
}

std::string_view to_string(svf_parametrisation parametrisation) {
  return parametrisation == svf_parametrisation::direct ? "direct" : "sigmoid";
}

result<svf_parametrisation> parse_svf_parametrisation(std::string_view text) {
  if (text == "direct") return svf_parametrisation::direct;
  if (text == "sigmoid") return svf_parametrisation::sigmoid;
  return error{ec::invalid_argument,
               "parametrisation: expected direct or sigmoid, found '" +
                   std::string{text} + "'"};
}

}  // namespace t2
