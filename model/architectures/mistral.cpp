#include "model/architecture.hpp"

namespace t2 {

/// Mistral 7B and its kin. A config without `sliding_window` means 4096 to the
/// reference implementation; null means none.
void read_mistral(config_reader& json, model_config& config) {
  read_decoder(json, config, {.kv_heads = 8});
  constexpr std::int64_t default_window = 4096;
  if (!json.names("sliding_window"))
    config.sliding_window = default_window;
  else if (json.has("sliding_window"))
    config.sliding_window =
        json.integer("sliding_window", 1, std::int64_t{1} << 31);
}

}  // namespace t2
