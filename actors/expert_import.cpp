#include "actors/expert_import.hpp"

#include <span>

#include "adaptation/expert.hpp"
#include "model/language_model.hpp"

namespace t2 {

bool expert_import::advance(language_model& model) {
  const auto bytes = std::as_bytes(std::span(file_.data(), file_.size()));
  const auto parsed =
      parse_expert(bytes, name_, model.config(), model.fingerprint());
  if (!parsed) {
    outcome_ = parsed.error();
    return false;
  }
  publication p;
  p.base = base_record(model);
  p.name = name_;
  p.caller = caller_;
  p.version.z_safetensors.assign(bytes.begin(), bytes.end());
  p.version.norm = std::string(to_string(parsed->norm));
  p.version.targets = std::string(to_string(parsed->targets));
  p.version.provenance_json = parsed->provenance;
  outcome_ = std::make_shared<const publication>(std::move(p));
  return false;
}

}  // namespace t2
