#include "actors/messages.hpp"

#include "model/language_model.hpp"

namespace t2 {

store_base_model base_record(const language_model& model) {
  return {.fingerprint = model.fingerprint(),
          .name = model.name(),
          .config_json = model.config().canonical_json()};
}

}  // namespace t2
