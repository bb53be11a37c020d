#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "config/chat_message.hpp"
#include "model/sampling.hpp"

namespace t2 {

/// What somebody asks: messages, or a bare prompt when `messages` is empty.
struct query {
  std::string prompt{};
  std::vector<chat_message> messages{};
  /// "" or "auto": pass 1 decides; "base"; "expert:NAME[@VERSION]"; else the
  /// name of a registered task.
  std::string target{};
  sampling_options sampling{};
  std::optional<double> deadline_seconds{};
  /// Only how likely this answer is, is wanted: nothing is generated.
  std::optional<std::string> reference{};
};

/// One expert's share of a mixture.
struct mixture_component {
  std::string expert;
  std::int64_t version = 0;
  std::vector<float> alpha;  // 1, or one for each adapted projection
};

struct mixture_summary {
  std::string rule;  // "delta" or "paper"
  std::vector<mixture_component> components;
};

/// A training run of an expert, as the CLI and the API describe it.
struct training_spec {
  std::string name;                    // of the expert
  std::string objective = "next-token";
  std::string data;                    // bytes of JSONL, or text
  std::string format = "jsonl";        // jsonl or text (blank-line separated)
  std::string targets = "all";         // attention, mlp, all
  std::string norm = "none";           // none, nuclear
  std::string parametrisation = "direct";  // direct, sigmoid
  std::int64_t steps = 200;
  std::int64_t batch = 16;             // rows of a step
  double learning_rate = 2e-3;
  double weight_decay = 0;             // towards the base
  double clip = 1;                     // of the gradient's norm; 0: off
  double warmup = 0.05;                // fraction of the steps
  double validation = 0.1;             // fraction of the rows held out
  std::int64_t validate_every = 20;
  std::int64_t max_tokens = 256;       // of a row
  std::uint64_t seed = 0;
  std::filesystem::path checkpoint;    // file; empty: none
  std::int64_t checkpoint_every = 20;
};

}  // namespace t2
