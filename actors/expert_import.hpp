#pragma once

#include <memory>
#include <string>

#include "actors/messages.hpp"
#include "engine/engine.hpp"

namespace t2 {

/// Reads an expert file against the model that runs, so that nothing enters the
/// store that could not be used. A job of the engine, in one slice.
class expert_import : public engine_job {
 public:
  /// `caller`: who publishes it.
  expert_import(std::string name, std::string file, std::string caller = {})
      : name_(std::move(name)),
        file_(std::move(file)),
        caller_(std::move(caller)) {}

  bool advance(language_model& model) override;
  /// Once advance() returned false: what is to be published.
  const result<publication_ref>& outcome() const { return outcome_; }

 private:
  std::string name_, file_, caller_;
  result<publication_ref> outcome_ =
      error{ec::cancelled, "the import was cancelled"};
};

}  // namespace t2
