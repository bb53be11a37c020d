#include "pretraining/pretraining.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "adaptation/adamw.hpp"
#include "adaptation/random_stream.hpp"
#include "config/sha256.hpp"
#include "pretraining/dense_network.hpp"
#include "pretraining/pretrained_folder.hpp"
#include "pretraining/pretraining_checkpoint.hpp"
#include "pretraining/pretraining_corpus.hpp"

namespace t2 {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
using clock = std::chrono::steady_clock;

// Tokens of a forward and backward pass, about: more do not make the products
// faster, and fewer activations stay in the caches.
constexpr std::int64_t tokens_of_pass = 4096;
// Validation runs on the first held-out documents, at most this many passes.
constexpr std::size_t most_validation_passes = 32;

/// Numbers below 2^-126 cost a hundred cycles each and change nothing.
void flush_denormals(std::int64_t threads) {
  at::globalContext().setFlushDenormal(true);
  at::parallel_for(0, threads, 1, [](std::int64_t, std::int64_t) {
    at::globalContext().setFlushDenormal(true);
  });
}

bool has_bfloat16_products() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512bf16") != 0;
#else
  return false;
#endif
}

/// Whether a document is held out. By its content: a text that comes twice is
/// on one side.
bool is_held_out(const tokenized_document& document, std::int64_t seed,
                 double fraction) {
  sha256 hash;
  hash.update(std::as_bytes(std::span{document.tokens}));
  hash.update(std::to_string(seed));
  const auto digest = hash.digest();
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < 6; ++i)
    number = number << 8 | std::to_integer<std::uint64_t>(digest[i]);
  return static_cast<double>(number) * 0x1p-48 < fraction;
}

model_config config_of(const pretraining_spec& spec, int vocabulary) {
  model_config c;
  c.model_type = "llama";
  c.vocabulary = vocabulary;
  c.hidden = spec.hidden;
  c.intermediate = spec.intermediate;
  c.layers = spec.layers;
  c.heads = spec.heads;
  c.kv_heads = spec.kv_heads;
  c.head_dim = spec.hidden / spec.heads;
  c.max_positions = spec.max_length;
  c.norm_epsilon = 1e-5;
  c.rope_theta = spec.rope_theta;
  c.tied_embeddings = true;
  c.eos_tokens = {pretrained::end};
  return c;
}

/// Normal, of a width that falls with the root of hidden; what writes to the
/// residual stream is narrower by the root of its number (GPT-2). Norms: 1.
void initialise(dense_network& network, const model_config& config,
                std::int64_t seed) {
  const double width = 0.4 / std::sqrt(static_cast<double>(config.hidden));
  const double narrow =
      width / std::sqrt(2 * static_cast<double>(config.layers));
  const auto& layout = network.layout();
  for (std::size_t i = 0; i < layout.weights().size(); ++i) {
    const auto& weight = layout.weights()[i];
    auto part = layout.part(network.parameter(), i);
    if (!weight.is_matrix()) {
      part.fill_(1);
      continue;
    }
    const bool to_stream = weight.name.ends_with("o_proj.weight") ||
                           weight.name.ends_with("down_proj.weight");
    random_stream random{static_cast<std::uint64_t>(seed), i};
    auto* values = part.mutable_data_ptr<float>();
    for (std::int64_t n = 0; n < part.numel(); ++n)
      values[n] = static_cast<float>(random.normal() *
                                     (to_stream ? narrow : width));
  }
  network.weights_changed();
}

}  // namespace

struct pretraining::state {
  pretraining_spec spec;
  std::string corpus_sha256, tokenizer_json;
  std::vector<tokenized_document> train, held_out;
  std::size_t shortened = 0;
  std::int64_t train_tokens = 0;
  model_config config;
  c10::ScalarType compute = at::kFloat;
  std::int64_t pass_tokens = 0, passes = 0;  // of a step
  std::unique_ptr<dense_network> network;
  std::vector<dense_pass> validation;

  pretraining_checkpoint saved;  // where the run stands
  std::int64_t resumed_from = 0;
  std::vector<std::size_t> order;  // of the documents in this epoch
  pretraining_progress progress;
  std::int64_t tokens_here = 0;  // trained on by this process
  double seconds_here = 0;

  std::filesystem::path log_path() const {
    return spec.out / "training_log.jsonl";
  }

  result<void> make_folders() const;
  result<void> prepare(const pretraining_corpus& corpus);
  result<void> open();
  dense_pass next_pass();
  void make_order();
  void validate();
  result<void> log();
};

// Before hours of work: there is a place for what comes of them.
result<void> pretraining::state::make_folders() const {
  for (const auto& folder :
       {spec.out, std::filesystem::absolute(spec.checkpoint).parent_path()}) {
    std::error_code failed;
    std::filesystem::create_directories(folder, failed);
    if (!failed && ::access(folder.c_str(), W_OK) != 0)
      failed = {errno, std::generic_category()};
    if (failed)
      return error{ec::io, folder.string() +
                               ": expected a folder to write to, found: " +
                               failed.message()};
  }
  return {};
}

// Tokenizes and divides the corpus.
result<void> pretraining::state::prepare(const pretraining_corpus& corpus) {
  auto json_text =
      corpus.train_tokenizer(static_cast<int>(spec.vocabulary));
  if (!json_text) return json_text.error();
  tokenizer_json = *std::move(json_text);
  const auto vocabulary = tokenizer::parse(tokenizer_json);
  if (!vocabulary) return vocabulary.error();
  config = config_of(spec, (*vocabulary)->vocab_size());
  const auto& documents = corpus.documents;
  std::vector<std::optional<result<tokenized_document>>> tokenized(
      documents.size());
  at::parallel_for(0, static_cast<std::int64_t>(documents.size()), 256,
                   [&](std::int64_t begin, std::int64_t end) {
                     for (auto i = static_cast<std::size_t>(begin);
                          i < static_cast<std::size_t>(end); ++i)
                       tokenized[i] = tokenize(documents[i], **vocabulary,
                                               spec.loss == "answers");
                   });
  for (std::size_t i = 0; i < documents.size(); ++i) {
    const auto& document = documents[i];
    auto& ids = *tokenized[i];
    if (!ids)
      return error{ids.error().code,
                   spec.data.string() + ": " + ids.error().message};
    const auto length = static_cast<std::int64_t>(ids->tokens.size());
    if (length > spec.max_length) {
      if (spec.longer == "refuse")
        return error{ec::invalid_argument,
                     spec.data.string() + ":" + std::to_string(document.line) +
                         ": expected a document of at most " +
                         std::to_string(spec.max_length) + " tokens, found " +
                         std::to_string(length) +
                         "; --longer cut or skip, or --max-length"};
      ++shortened;
      if (spec.longer == "skip") continue;
      ids->tokens.resize(static_cast<std::size_t>(spec.max_length));
      ids->counts.resize(static_cast<std::size_t>(spec.max_length));
    }
    // A cut can leave nothing to learn.
    if (std::ranges::count(ids->counts, 1) == 0) continue;
    if (is_held_out(*ids, spec.seed, spec.validation)) {
      held_out.push_back(*std::move(ids));
    } else {
      train_tokens += static_cast<std::int64_t>(ids->tokens.size());
      train.push_back(*std::move(ids));
    }
  }
  if (train.empty())
    return error{ec::invalid_argument,
                 spec.data.string() +
                     ": expected documents to learn from, found none that is "
                     "short enough and not held out"};
  return {};
}

// The network, new or from the checkpoint.
result<void> pretraining::state::open() {
  const c10::InferenceMode off{false};
  passes = (spec.batch + tokens_of_pass - 1) / tokens_of_pass;
  pass_tokens = std::max((spec.batch + passes - 1) / passes, spec.max_length);
  pass_tokens = (pass_tokens + 15) / 16 * 16;
  network = std::make_unique<dense_network>(config, compute, pass_tokens);
  const auto size = network->layout().total();
  saved.identity = sha256_hex(
      corpus_sha256 + "\n" + spec.canonical_json() + "\n" +
      (compute == at::kFloat ? "float32" : "bfloat16"));
  auto found =
      read_pretraining_checkpoint(spec.checkpoint, saved.identity, size);
  if (!found) return found.error();
  if (*found) {
    saved = **std::move(found);
    network->parameter().copy_(saved.parameter);
    network->weights_changed();
    resumed_from = saved.step;
  } else {
    initialise(*network, config, spec.seed);
    saved.first_moment = at::zeros({size}, at::kFloat);
    saved.second_moment = at::zeros({size}, at::kFloat);
  }
  saved.parameter = network->parameter();
  make_order();
  for (const auto& document : held_out) {
    const auto length = document.tokens.size() - 1;
    if (validation.empty() ||
        validation.back().tokens.size() + length >
            static_cast<std::size_t>(pass_tokens)) {
      if (validation.size() == most_validation_passes) break;
      validation.emplace_back();
    }
    validation.back().add(document.tokens, document.counts);
  }
  std::error_code failed;
  // What a killed process logged after its checkpoint comes again.
  if (resumed_from > 0 &&
      std::filesystem::exists(log_path(), failed) &&
      std::filesystem::file_size(log_path(), failed) >
          static_cast<std::uintmax_t>(saved.log_bytes)) {
    std::filesystem::resize_file(
        log_path(), static_cast<std::uintmax_t>(saved.log_bytes), failed);
    if (failed)
      return error{ec::io, log_path().string() + ": " + failed.message()};
  }
  if (!std::ofstream{log_path(),
                     resumed_from > 0 ? std::ios::app : std::ios::trunc})
    return error{ec::io, log_path().string() +
                             ": expected a file to write to, found: " +
                             std::generic_category().message(errno)};
  progress.step = saved.step;
  progress.steps = spec.steps;
  progress.loss = saved.loss;
  progress.validation_loss = saved.validation_loss;
  progress.validated = saved.validated;
  progress.seconds = saved.seconds;
  return {};
}

void pretraining::state::make_order() {
  random_stream random{static_cast<std::uint64_t>(spec.seed),
                       (std::uint64_t{1} << 32) +
                           static_cast<std::uint64_t>(saved.epoch)};
  order = random.permutation(train.size());
}

// The next documents of this epoch's order, as many as fit.
dense_pass pretraining::state::next_pass() {
  dense_pass pass;
  for (;;) {
    if (saved.next == static_cast<std::int64_t>(order.size())) {
      ++saved.epoch;
      saved.next = 0;
      make_order();
    }
    const auto& document = train[order[static_cast<std::size_t>(saved.next)]];
    if (pass.tokens.size() + document.tokens.size() - 1 >
        static_cast<std::size_t>(pass_tokens))
      return pass;
    pass.add(document.tokens, document.counts);
    ++saved.next;
  }
}

void pretraining::state::validate() {
  double loss = 0, count = 0;
  for (const auto& pass : validation) {
    loss += network->loss(pass);
    count += static_cast<double>(pass.rows.size());
  }
  saved.validation_loss = loss / count;
  saved.validated = true;
}

result<void> pretraining::state::log() {
  ordered_json line{{"step", saved.step}, {"loss", saved.loss}};
  if (saved.validated) line["validation_loss"] = saved.validation_loss;
  line["learning_rate"] = progress.learning_rate;
  line["gradient_norm"] = progress.gradient_norm;
  line["seconds"] = std::round(saved.seconds * 1000) / 1000;
  std::ofstream out{log_path(), std::ios::app};
  const std::string text = line.dump() + "\n";
  out << text << std::flush;
  if (!out)
    return error{ec::io, log_path().string() +
                             ": expected a file to write to, found: " +
                             std::generic_category().message(errno)};
  saved.log_bytes += static_cast<std::int64_t>(text.size());
  return {};
}

pretraining::pretraining() : state_(std::make_unique<state>()) {}
pretraining::~pretraining() = default;

result<std::unique_ptr<pretraining>> pretraining::make(pretraining_spec spec) {
  if (auto ok = spec.check(); !ok) return ok.error();
  std::error_code failed;
  if (std::filesystem::exists(spec.out / "model.safetensors", failed))
    return error{ec::already_exists,
                 spec.out.string() +
                     ": expected a folder without a model, found one; remove "
                     "it to train again"};
  auto run = std::unique_ptr<pretraining>(new pretraining);
  auto& s = *run->state_;
  s.spec = std::move(spec);
  if (s.spec.checkpoint.empty())
    s.spec.checkpoint = s.spec.out.string() + ".checkpoint";
  s.compute = s.spec.compute == "bfloat16" ||
                      (s.spec.compute == "auto" && has_bfloat16_products())
                  ? at::kBFloat16
                  : at::kFloat;
  at::set_num_threads(static_cast<int>(s.spec.threads));
  flush_denormals(s.spec.threads);
  if (auto ok = s.make_folders(); !ok) return ok.error();
  const auto read = [&]() -> result<void> {
    const auto corpus = pretraining_corpus::read(s.spec.data);
    if (!corpus) return corpus.error();
    s.corpus_sha256 = corpus->sha256;
    if (auto ok = s.prepare(*corpus); !ok) return ok;
    return s.open();
  }();
  if (!read) {
    std::filesystem::remove(s.spec.out, failed);  // where it is empty
    return read.error();
  }
  return run;
}

std::int64_t pretraining::resumed_from() const { return state_->resumed_from; }
std::int64_t pretraining::parameters() const {
  return state_->network->layout().total();
}
std::size_t pretraining::documents() const { return state_->train.size(); }
std::size_t pretraining::held_out() const { return state_->held_out.size(); }
std::size_t pretraining::cut() const { return state_->shortened; }
std::int64_t pretraining::tokens() const { return state_->train_tokens; }
int pretraining::vocabulary() const {
  return static_cast<int>(state_->config.vocabulary);
}
std::string pretraining::compute() const {
  return state_->compute == at::kFloat ? "float32" : "bfloat16";
}
const pretraining_progress& pretraining::progress() const {
  return state_->progress;
}
const std::filesystem::path& pretraining::checkpoint() const {
  return state_->spec.checkpoint;
}
bool pretraining::done() const {
  return state_->saved.step == state_->spec.steps;
}

result<void> pretraining::save() {
  return write_pretraining_checkpoint(state_->spec.checkpoint, state_->saved);
}

result<void> pretraining::step() {
  auto& s = *state_;
  const c10::InferenceMode off{false};
  const auto began = clock::now();
  std::vector<dense_pass> passes;
  double counted = 0;
  for (std::int64_t i = 0; i < s.passes; ++i) {
    passes.push_back(s.next_pass());
    counted += static_cast<double>(passes.back().rows.size());
    s.tokens_here += static_cast<std::int64_t>(passes.back().tokens.size());
  }
  auto& gradient = s.network->gradient();
  gradient.zero_();
  double loss = 0;
  for (auto& pass : passes) {
    std::ranges::fill(pass.weights, static_cast<float>(1 / counted));
    loss += s.network->accumulate(pass);
  }
  const double norm = std::sqrt(dense_kernels::sum_of_squares(gradient));
  if (!std::isfinite(norm) || !std::isfinite(loss))
    return error{ec::internal, "pretraining diverged at step " +
                                   std::to_string(s.saved.step) +
                                   ": expected a finite gradient; a lower "
                                   "learning rate may help"};
  const double rate = learning_rate_at(s.saved.step, s.spec.steps,
                                       s.spec.learning_rate, s.spec.warmup);
  dense_kernels::adamw_settings settings{
      .beta2 = s.spec.beta2,
      .learning_rate = rate,
      .scale = s.spec.clip > 0 && norm > s.spec.clip ? s.spec.clip / norm : 1,
      .step = s.saved.step + 1};
  auto& copy = s.network->copy();
  for (const auto& weight : s.network->layout().weights()) {
    const auto part = [&](const at::Tensor& flat) {
      return flat.defined() ? flat.narrow(0, weight.offset, weight.size())
                            : flat;
    };
    settings.weight_decay = weight.is_matrix() ? s.spec.weight_decay : 0;
    dense_kernels::adamw(part(s.network->parameter()),
                         part(s.saved.first_moment),
                         part(s.saved.second_moment), part(gradient),
                         part(copy), settings);
  }
  auto& p = s.progress;
  p.step = ++s.saved.step;
  p.loss = s.saved.loss = loss;
  p.learning_rate = rate;
  p.gradient_norm = norm;
  const double trained =
      std::chrono::duration<double>(clock::now() - began).count();
  s.seconds_here += trained;
  p.tokens_per_second = static_cast<double>(s.tokens_here) / s.seconds_here;
  if (!s.validation.empty() &&
      (s.saved.step % s.spec.validate_every == 0 || done())) {
    s.validate();
    p.validation_loss = s.saved.validation_loss;
    p.validated = true;
  }
  s.saved.seconds +=
      std::chrono::duration<double>(clock::now() - began).count();
  p.seconds = s.saved.seconds;
  if (s.saved.step % s.spec.log_every == 0 || done())
    if (auto ok = s.log(); !ok) return ok;
  if (s.saved.step % s.spec.checkpoint_every == 0 || done()) return save();
  return {};
}

result<void> pretraining::finish() {
  auto& s = *state_;
  ordered_json record{
      {"format", "t2-pretrained-1"},
      {"options", json::parse(s.spec.canonical_json())},
      {"corpus_sha256", s.corpus_sha256},
      {"documents", s.train.size()},
      {"held_out", s.held_out.size()},
      {"tokens", s.train_tokens},
      {"vocabulary", s.config.vocabulary},
      {"parameters", s.network->layout().total()},
      {"compute", compute()},
      {"loss", s.saved.loss}};
  if (s.saved.validated) record["validation_loss"] = s.saved.validation_loss;
  record["seconds"] = std::round(s.saved.seconds);
  const auto written = write_pretrained(
      s.spec.out,
      {.config = s.config,
       .tokenizer_json = s.tokenizer_json,
       .weights = s.network->layout().named(s.network->parameter()),
       .dtype = s.spec.dtype == "float32" ? at::kFloat : at::kBFloat16,
       .record_json = record.dump(2) + "\n"});
  if (!written) return written;
  std::error_code ignored;
  std::filesystem::remove(s.spec.checkpoint, ignored);
  return {};
}

}  // namespace t2
