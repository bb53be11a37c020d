#pragma once

#include <string>

#include "config/environment.hpp"

namespace t2 {

/// Where `t2 model add` keeps what it fetched, a folder for each name:
/// $XDG_DATA_HOME/t2/models.
std::string models_folder(const environment& env);

/// The path that `model.path` means: where nothing of that name exists, the GGUF
/// file of the fetched model that has it; for a folder of the hub's cache
/// (models--ORGANISATION--NAME), its main snapshot, else its only one; else
/// `given` itself. Does not fail: who opens the path says what is wrong with it.
std::string model_path_of(const std::string& given, const environment& env);

}  // namespace t2
