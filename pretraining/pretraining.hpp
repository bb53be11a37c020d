#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "config/result.hpp"

namespace t2 {

/// All that a pretraining run is told. With the corpus and the number of
/// threads it decides every bit of the model.
struct pretraining_spec {
  std::filesystem::path data;        // JSONL
  std::filesystem::path out;         // the model's folder
  std::filesystem::path checkpoint;  // empty: `out`.checkpoint
  // Shape; head_dim is hidden / heads.
  std::int64_t vocabulary = 1024;    // at most; a small corpus gives less
  std::int64_t hidden = 192;
  std::int64_t layers = 5;
  std::int64_t heads = 6;
  std::int64_t kv_heads = 2;
  std::int64_t intermediate = 512;
  std::int64_t max_length = 256;     // tokens of a document, and positions
  double rope_theta = 10000;
  // Learning.
  std::string loss = "answers";      // answers, all
  std::string longer = "refuse";     // than max_length: refuse, cut, skip
  std::int64_t steps = 2000;
  std::int64_t batch = 8192;         // tokens of a step
  double learning_rate = 2e-3;
  double warmup = 0.05;              // fraction of the steps
  double weight_decay = 0.1;         // of matrices
  double beta2 = 0.98;
  double clip = 1;                   // 0: off
  double validation = 0.02;          // fraction of the documents
  std::int64_t validate_every = 100;
  std::int64_t checkpoint_every = 200;
  std::int64_t log_every = 10;
  std::int64_t seed = 1;
  std::int64_t threads = 2;
  std::string compute = "auto";      // auto, float32, bfloat16
  std::string dtype = "bfloat16";    // of the file: float32, bfloat16

  /// ec::invalid_argument: what cannot be.
  result<void> check() const;
  /// What decides the bits, with sorted keys.
  std::string canonical_json() const;
};

struct pretraining_progress {
  std::int64_t step = 0, steps = 0;
  double loss = 0;             // a counted token's, of the last step
  double validation_loss = 0;  // the last one measured
  bool validated = false;
  double learning_rate = 0;
  double gradient_norm = 0;    // before clipping
  double seconds = 0;          // of training, earlier processes included
  double tokens_per_second = 0;  // since this process began
};

/// Full-weights next-token training from nothing to a folder that t2 and
/// transformers load. Killed and made again with the same spec and corpus it
/// goes on from its last checkpoint and ends in the same bits on the same
/// machine. One thread calls it; it sets LibTorch's number of threads.
class pretraining {
 public:
  /// Reads the corpus, learns the tokenizer, reads the checkpoint where there
  /// is one: ec::incompatible when it is of another run. ec::already_exists
  /// where `out` already holds a model.
  static result<std::unique_ptr<pretraining>> make(pretraining_spec spec);
  ~pretraining();

  std::int64_t resumed_from() const;  // step; 0: from the start
  std::int64_t parameters() const;
  std::size_t documents() const;      // to learn from
  std::size_t held_out() const;
  std::size_t cut() const;            // documents shortened or left out
  std::int64_t tokens() const;        // of the documents to learn from
  int vocabulary() const;             // of the learnt tokenizer
  std::string compute() const;        // float32 or bfloat16

  bool done() const;
  /// One optimiser step with the validation, log and checkpoint due after it.
  result<void> step();
  const pretraining_progress& progress() const;
  /// Before leaving early. `checkpoint()` says where.
  result<void> save();
  const std::filesystem::path& checkpoint() const;
  /// Once done: writes the folder, the weights last, and removes the
  /// checkpoint.
  result<void> finish();

 private:
  pretraining();
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace t2
