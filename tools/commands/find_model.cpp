#include "tools/commands/find_model.hpp"

#include <filesystem>

#include "config/model_path.hpp"
#include "model/memory_plan.hpp"

namespace t2 {

result<shown_model> find_model(session& here) {
  const auto& given = here.arguments().positionals();
  const std::string name = given.empty()
                               ? here.options().values.model.path
                               : model_path_of(given[0], here.env());
  if (name.empty()) {
    return error{ec::invalid_argument,
                 "MODEL: expected a folder, a GGUF file or the name of a shape, "
                 "found none (and no model.path)"};
  }
  if (!std::filesystem::exists(name)) {
    if (auto shape = preset_shape(name)) return shown_model{name, *shape};
  }
  auto config = read_model_config(name);
  if (!config) return config.error();
  return shown_model{name, *std::move(config), true};
}

}  // namespace t2
