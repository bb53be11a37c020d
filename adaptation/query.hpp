#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/chat_message.hpp"
#include "model/sampling.hpp"

namespace t2 {

/// What somebody asks: messages, or a bare prompt when `messages` is empty.
struct query {
  std::string prompt{};
  /// The prompt as ids, in place of `prompt`; empty: it is a text.
  std::vector<token_id> prompt_ids{};
  std::vector<chat_message> messages{};
  /// A JSON object for the chat template, such as {"enable_thinking": false}.
  std::string template_variables{};
  /// "" or "auto": pass 1 decides, "auto:prompt" and "auto:classifier" by that
  /// strategy; "base"; "expert:NAME[@VERSION]"; else the name of a registered
  /// task.
  std::string target{};
  sampling_options sampling{};
  /// Number of this answer among those of equal seeds (model/engine.hpp).
  std::uint64_t stream = 0;
  /// Parts carry their tokens with log-probabilities.
  bool report_tokens = false;
  /// The answer's text begins with the prompt's.
  bool echo = false;
  std::optional<double> deadline_seconds{};
  /// Only how likely this answer is, is wanted: nothing is generated.
  std::optional<std::string> reference{};
  /// Only where it leads is wanted: nothing is generated.
  bool route_only = false;
  /// Who asks (http/caller.hpp); empty: t2 itself. Callers share the engine
  /// evenly, and nothing that is kept of one's prompts is found by another's.
  std::string caller{};
};

/// Of everything in it that will be tokenised.
inline std::size_t text_bytes(const query& question) {
  std::size_t bytes =
      question.prompt.size() + question.template_variables.size();
  for (const chat_message& turn : question.messages)
    bytes += turn.role.size() + turn.content.size();
  return bytes + (question.reference ? question.reference->size() : 0);
}

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
  std::string method = "svf";          // svf, lora
  std::string objective = "next-token";  // next-token, reinforce
  std::string data;                    // bytes of JSONL, or text
  std::string validation_data;         // the same; empty: a part of `data`
  std::map<std::string, std::string> tests;  // JSONL by name: asked at the end
  std::string format = "jsonl";        // jsonl or text (blank-line separated)
  /// How bare prompts are asked: "raw", "chat"; empty: through the model's chat
  /// template where it has one, but for the beginnings of programs.
  std::string form{};
  /// Prompts are asked as pass 1 asks them, answers are labels (reinforce).
  bool classify = false;
  std::vector<std::string> labels;     // of it: "name: description"
  std::string targets = "all";         // of SVF: see svf_targets
  std::string norm = "none";           // none, nuclear
  std::string parametrisation = "direct";  // direct, sigmoid
  std::int64_t rank = 16;              // of LoRA
  double alpha = 32;
  std::string lora_targets = "q_proj,v_proj";
  std::filesystem::path output;        // folder for LoRA's adapter
  std::int64_t steps = 200;
  std::int64_t batch = 16;             // rows (reinforce: prompts) of a step
  double learning_rate = 2e-3;
  double weight_decay = 0;             // towards the base
  double clip = 1;                     // of the gradient's norm; 0: off
  double warmup = 0.05;                // fraction of the steps
  double validation = 0.1;             // fraction of the prompts held out
  std::int64_t validate_every = 20;
  std::int64_t patience = 0;           // validations without gain; 0: no stop
  std::int64_t max_tokens = 256;       // of a row; reinforce: of a prompt
  // Of answers that are sampled: by reinforce, and for tests.
  std::string reward;                  // of examples that name none
  std::int64_t max_answer_tokens = 128;
  std::int64_t samples = 4;            // answers to a prompt
  double temperature = 1;              // 0: greedy
  std::string advantage = "leave-one-out";  // none, batch-mean
  double kl_weight = 0.1;              // λ
  std::string kl_direction = "policy-base";  // base-policy
  std::uint64_t seed = 0;
  std::filesystem::path checkpoint;    // file; empty: one in the folder below
  /// Where a run without a checkpoint keeps one of its own until it has ended;
  /// empty: nowhere. The process says, no request does.
  std::filesystem::path checkpoint_folder;
  std::int64_t checkpoint_every = 20;
  std::string caller{};                // who asked for it
};

}  // namespace t2
