#pragma once

#include <string>

#include "config/result.hpp"
#include "model/model_config.hpp"
#include "tools/session.hpp"

namespace t2 {

/// A model by its folder, or a shape by its name.
struct shown_model {
  std::string name;
  model_config config;
  bool has_weights = false;
};

/// The one that the command's first argument names, else model.path.
result<shown_model> find_model(session& here);

}  // namespace t2
