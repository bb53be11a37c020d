#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/byte_size.hpp"
#include "config/environment.hpp"
#include "config/flags.hpp"
#include "config/option.hpp"
#include "config/result.hpp"

namespace t2 {

// Defaults live here, ranges and help in option_table(): docs/formats.md.
// Paths that are empty by default get one from the environment on loading.

struct model_settings {
  std::string path = {};       // directory or GGUF file; empty: none
  std::string device = "cpu";  // cpu, cuda or cuda:N
  std::string dtype = "auto";  // auto, float32, bfloat16
  std::string svd_cache = {};  // folder of the SVD cache
  std::string chat_template_kwargs = {};  // a JSON object; empty: none
};

struct engine_settings {
  std::int64_t threads = 0;                 // 0: all cores
  std::int64_t spin = 5000;                 // turns of a wait before it sleeps
  std::int64_t kv_bytes = 1 * gibibyte;     // KV cache
  std::int64_t dense_bytes = 1 * gibibyte;  // LRU of dense adapted weights
  std::int64_t delta_rank = 0;              // directions that move; 0: all
  std::int64_t step_tokens = 512;           // tokens of one packed step
  std::int64_t max_context = 4096;          // tokens of one sequence
  std::int64_t max_sequences = 64;          // live at once
};

struct store_settings {
  std::string path = {};  // the SQLite file
};

struct server_options {
  std::string socket = {};   // Unix socket of the daemon
  std::int64_t queue = 256;  // queries that may wait
  std::chrono::milliseconds deadline = std::chrono::minutes(5);
  std::int64_t max_body_bytes = 16 * mebibyte;
  std::string listen = {};           // HOST:PORT of TCP; empty: none
  std::string keys = {};             // file of API keys; empty: none
  bool administer_remotely = false;  // by peers that are not on this machine
  bool share_prefixes = false;       // kept prompts between callers
  std::string tls_certificate = {};  // PEM file; empty: TCP without TLS
  std::string tls_key = {};          // PEM file of its private key
};

struct search_options {
  std::string optimiser = "cem";  // cem, random
  std::int64_t population = 32;
  double elite = 0.2;  // fraction of the population
  double sigma = 0.5;
  std::int64_t iterations = 10;
  std::string per = "expert";       // one alpha per expert or per projection
  std::string rule = "delta";       // delta, paper
  std::int64_t tokens = 4'000'000;  // 0: no limit
  double seconds = 600;             // 0: no limit
  std::int64_t stream_bytes = 256 * mebibyte;
  std::int64_t folds = 0;  // 0: leave one out
  std::int64_t seed = 0;
  std::int64_t survivors = 4;
  std::int64_t preselect = 4;  // experts that are searched; 0: all
};

/// What judges by running programs: the rewards python and command.
struct reward_options {
  std::vector<std::string> command = {};  // the verifier: a program, arguments
  bool sandbox = true;                    // the verifier runs in the sandbox
  std::int64_t workers = 0;               // programs at once; 0: one a core
  double seconds = 10;                    // of one program
  std::int64_t memory = 512 * mebibyte;   // of one process
};

struct route_options {
  std::string strategy = "auto";  // auto, base, prompt, classifier
  std::string classifier = {};    // the expert of pass 1, NAME[@VERSION]
  double confidence = 0.5;        // of a class; below it the base answers
  std::vector<std::string> labels = {"code", "math", "reasoning"};
};

struct log_options {
  std::string level = "info";
  std::string file = {};  // empty: standard error
};

/// Every option of t2d and t2.
struct runtime_options {
  model_settings model = {};
  engine_settings engine = {};
  store_settings store = {};
  server_options server = {};
  search_options search = {};
  reward_options rewards = {};
  route_options route = {};
  log_options log = {};

  /// Every value against its declaration, then what holds between values.
  /// ec::invalid_argument names the option, what was expected and found.
  result<void> validate() const;
};

/// A declaration bound to its member of runtime_options.
struct runtime_option {
  option declared;
  std::function<option_value(const runtime_options&)> get;
  std::function<void(runtime_options&, option_value)> set;
  /// The default where it depends on the environment.
  std::function<std::string(const environment&)> locate = {};
};

/// All options, section by section.
const std::vector<runtime_option>& option_table();

/// `--config`, which names the TOML file and is no key in it.
const option& config_option();

enum class option_source { built_in, file, variable, flag };

/// Where an option's value came from.
struct option_origin {
  std::string name;  // `engine.kv_bytes`
  option_source source = option_source::built_in;
  /// `default`, `t2.toml:3`, `T2_ENGINE_KV_BYTES` or `--engine-kv-bytes`.
  std::string where = "default";
};

struct loaded_options {
  runtime_options values;
  std::vector<option_origin> origins;  // in the order of option_table()
  std::optional<std::filesystem::path>
      config_file;  // the TOML file that was read
  std::vector<std::string> positionals;
};

/// Options from flags, then T2_* variables, then a TOML file, then defaults.
/// The file: `--config`, else `T2_CONFIG`, else
/// `$XDG_CONFIG_HOME/t2/t2.toml` (`~/.config`) where it exists. A variable set
/// to nothing counts as not set. Unknown flags, T2_* variables and keys are
/// ec::invalid_argument with the nearest known name; wrong values name the
/// place, what was expected and what was found; a named file that is missing
/// is ec::not_found. Reads the file system, changes nothing.
result<loaded_options> load_options(std::span<const std::string> arguments,
                                    const environment& env);

/// The same after somebody else has split the command line; flags that are
/// not in option_table() are passed over.
result<loaded_options> resolve_options(std::span<const given_flag> flags,
                                       const environment& env);

/// One row an option.
struct option_report {
  std::string name;
  std::string value;  // as print_option has it
  std::string origin;
};
std::vector<option_report> report_options(const loaded_options& loaded);

}  // namespace t2
