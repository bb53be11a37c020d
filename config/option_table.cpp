#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "config/host_port.hpp"
#include "config/logging.hpp"
#include "config/options.hpp"

namespace t2 {
namespace {

template <class Section, class T>
runtime_option declare(Section runtime_options::*section, T Section::*field,
                       option declared) {
  const runtime_options defaults;
  declared.value = (defaults.*section).*field;
  return {.declared = std::move(declared),
          .get = [=](const runtime_options& options) -> option_value {
            return (options.*section).*field;
          },
          .set =
              [=](runtime_options& options, option_value value) {
                (options.*section).*field = std::get<T>(std::move(value));
              }};
}

runtime_option located(runtime_option entry, std::string note,
                       std::function<std::string(const environment&)> locate) {
  entry.declared.default_note = std::move(note);
  entry.locate = std::move(locate);
  return entry;
}

std::string default_socket(const environment& env) {
  const auto folder = variable(env, "XDG_RUNTIME_DIR");
  if (!folder.empty() && folder.front() == '/') {
    return std::string(folder) + "/t2.sock";
  }
  return "/tmp/t2-" + std::to_string(getuid()) + ".sock";
}

bool is_device(std::string_view text) {
  if (text == "cpu" || text == "cuda") return true;
  if (!text.starts_with("cuda:")) return false;
  const auto index = text.substr(5);
  return !index.empty() && index.size() <= 2 &&
         std::all_of(index.begin(), index.end(),
                     [](char c) { return c >= '0' && c <= '9'; });
}

/// sockaddr_un has 108 bytes, one of them for the zero.
bool fits_a_socket_address(std::string_view path) {
  return path.size() < 108;
}

bool is_json_object(std::string_view text) {
  return text.empty() ||
         nlohmann::json::parse(text, nullptr, false).is_object();
}

bool is_listen_address(std::string_view text) {
  return text.empty() || parse_host_port(text);
}

std::vector<runtime_option> build() {
  using o = runtime_options;
  using kind = option_kind;
  return {
      declare(&o::model, &model_settings::path,
              {.name = "model.path",
               .kind = kind::path,
               .help = "base model: a Hugging Face directory, a GGUF file, or "
                       "one that t2 model add fetched, by its name",
               .unit = "PATH"}),
      declare(&o::model, &model_settings::device,
              {.name = "model.device",
               .help = "where tensors live",
               .unit = "cpu|cuda[:N]",
               .accepts = is_device,
               .expects = "cpu, cuda or cuda:N",
               .short_flag = "device"}),
      declare(&o::model, &model_settings::dtype,
              {.name = "model.dtype",
               .help = "compute type; auto: the checkpoint's own where the "
                       "device is good at it",
               .choices = {"auto", "float32", "bfloat16"},
               .short_flag = "dtype"}),
      located(declare(&o::model, &model_settings::svd_cache,
                      {.name = "model.svd_cache",
                       .kind = kind::path,
                       .help = "folder of the decomposed weights",
                       .unit = "DIR"}),
              "$XDG_CACHE_HOME/t2/svd",
              [](const environment& env) {
                return xdg_path(env, "XDG_CACHE_HOME", ".cache", "t2/svd");
              }),
      declare(&o::model, &model_settings::chat_template_kwargs,
              {.name = "model.chat_template_kwargs",
               .help = "what the chat template is told with every prompt, such "
                       "as {\"enable_thinking\": false}",
               .unit = "JSON",
               .accepts = is_json_object,
               .expects = "a JSON object"}),

      declare(&o::engine, &engine_settings::threads,
              {.name = "engine.threads",
               .kind = kind::integer,
               .help = "threads for tensors; 0: every core",
               .most = 1024,
               .short_flag = "threads"}),
      declare(&o::engine, &engine_settings::spin,
              {.name = "engine.spin",
               .kind = kind::integer,
               .help = "turns of a loop in which threads wait for one another "
                       "before they sleep; more: faster alone, slower beside "
                       "busy neighbours; GOMP_SPINCOUNT or OMP_WAIT_POLICY in "
                       "the environment goes before it",
               .most = 1'000'000'000'000}),
      declare(&o::engine, &engine_settings::kv_bytes,
              {.name = "engine.kv_bytes",
               .kind = kind::bytes,
               .help = "memory of the KV cache",
               .least = mebibyte,
               .most = 64 * tebibyte}),
      declare(&o::engine, &engine_settings::dense_bytes,
              {.name = "engine.dense_bytes",
               .kind = kind::bytes,
               .help = "memory for dense adapted weights, least recently used "
                       "leave first; 0: keep none",
               .most = 64 * tebibyte}),
      declare(&o::engine, &engine_settings::delta_rank,
              {.name = "engine.delta_rank",
               .kind = kind::integer,
               .help = "of each projection only so many singular values move "
                       "where a batch has several mixtures: faster and "
                       "approximate; 0: all, exact",
               .most = 1 << 20}),
      declare(&o::engine, &engine_settings::step_tokens,
              {.name = "engine.step_tokens",
               .kind = kind::integer,
               .help = "most tokens of one packed step",
               .unit = "TOKENS",
               .least = 1,
               .most = 1 << 20}),
      declare(&o::engine, &engine_settings::max_context,
              {.name = "engine.max_context",
               .kind = kind::integer,
               .help = "most tokens of one sequence, prompt and answer",
               .unit = "TOKENS",
               .least = 16,
               .most = 1 << 24}),
      declare(&o::engine, &engine_settings::max_sequences,
              {.name = "engine.max_sequences",
               .kind = kind::integer,
               .help = "most sequences decoded at once",
               .least = 1,
               .most = 65536}),

      located(declare(&o::store, &store_settings::path,
                      {.name = "store.path",
                       .kind = kind::path,
                       .help = "file of experts, tasks and adaptations",
                       .unit = "FILE",
                       .short_flag = "store"}),
              "$XDG_DATA_HOME/t2/store.db",
              [](const environment& env) {
                return xdg_path(env, "XDG_DATA_HOME", ".local/share",
                                "t2/store.db");
              }),

      located(declare(&o::server, &server_options::socket,
                      {.name = "server.socket",
                       .kind = kind::path,
                       .help = "Unix socket of the daemon",
                       .accepts = fits_a_socket_address,
                       .expects = "a path of at most 107 bytes",
                       .short_flag = "socket"}),
              "$XDG_RUNTIME_DIR/t2.sock or /tmp/t2-UID.sock", default_socket),
      declare(&o::server, &server_options::queue,
              {.name = "server.queue",
               .kind = kind::integer,
               .help = "queries that may wait before more are refused",
               .least = 1,
               .most = 1 << 20}),
      declare(&o::server, &server_options::deadline,
              {.name = "server.deadline",
               .kind = kind::duration,
               .help = "time a query may take unless it says otherwise",
               .least = 1,
               .most = 7LL * 86'400'000}),
      declare(&o::server, &server_options::max_body_bytes,
              {.name = "server.max_body_bytes",
               .kind = kind::bytes,
               .help = "largest request body",
               .least = kibibyte,
               .most = gibibyte}),
      declare(&o::server, &server_options::listen,
              {.name = "server.listen",
               .help = "TCP address to listen on beside the socket; port 0: "
                       "any that is free; empty: none",
               .unit = "HOST:PORT",
               .accepts = is_listen_address,
               .expects = "HOST:PORT, an IPv6 address in brackets, or nothing",
               .short_flag = "listen"}),
      declare(&o::server, &server_options::keys,
              {.name = "server.keys",
               .kind = kind::path,
               .help = "file of API keys that TCP asks for",
               .unit = "FILE"}),
      declare(&o::server, &server_options::administer_remotely,
              {.name = "server.administer_remotely",
               .kind = kind::boolean,
               .help = "whether keys to administer count from other machines"}),
      declare(&o::server, &server_options::share_prefixes,
              {.name = "server.share_prefixes",
               .kind = kind::boolean,
               .help = "whether keys find each other's kept prompts again; each "
                       "can then guess what others ask"}),
      declare(&o::server, &server_options::tls_certificate,
              {.name = "server.tls_certificate",
               .kind = kind::path,
               .help = "certificate chain of TCP (PEM); empty: no TLS",
               .unit = "FILE"}),
      declare(&o::server, &server_options::tls_key,
              {.name = "server.tls_key",
               .kind = kind::path,
               .help = "private key of the certificate (PEM)",
               .unit = "FILE"}),

      declare(&o::search, &search_options::optimiser,
              {.name = "search.optimiser",
               .help = "how mixtures are proposed",
               .choices = {"cem", "random"}}),
      declare(&o::search, &search_options::population,
              {.name = "search.population",
               .kind = kind::integer,
               .help = "candidates of one iteration",
               .least = 2,
               .most = 4096}),
      declare(
          &o::search, &search_options::elite,
          {.name = "search.elite",
           .kind = kind::real,
           .help = "fraction of candidates that the next iteration is drawn "
                   "from",
           .low = 0.01,
           .high = 1}),
      declare(&o::search, &search_options::sigma,
              {.name = "search.sigma",
               .kind = kind::real,
               .help = "first standard deviation of the proposals",
               .low = 0.001,
               .high = 10}),
      declare(&o::search, &search_options::iterations,
              {.name = "search.iterations",
               .kind = kind::integer,
               .help = "rounds of proposals",
               .least = 1,
               .most = 10'000}),
      declare(&o::search, &search_options::per,
              {.name = "search.per",
               .help = "one weight per expert, or per expert and projection",
               .choices = {"expert", "projection"}}),
      declare(&o::search, &search_options::rule,
              {.name = "search.rule",
               .help = "how experts mix: their singular deltas, or z as in the "
                       "paper",
               .choices = {"delta", "paper"}}),
      declare(&o::search, &search_options::tokens,
              {.name = "search.tokens",
               .kind = kind::integer,
               .help = "token budget of one adaptation; 0: no limit",
               .unit = "TOKENS"}),
      declare(&o::search, &search_options::seconds,
              {.name = "search.seconds",
               .kind = kind::real,
               .help = "time budget of one adaptation in seconds that the engine "
                       "works for it; 0: no limit",
               .unit = "SECONDS",
               .high = 1e7}),
      declare(&o::search, &search_options::stream_bytes,
              {.name = "search.stream_bytes",
               .kind = kind::bytes,
               .help = "memory of one packed batch of candidates",
               .least = mebibyte,
               .most = 64 * tebibyte}),
      declare(&o::search, &search_options::folds,
              {.name = "search.folds",
               .kind = kind::integer,
               .help = "folds of the acceptance test; 0: leave one out",
               .most = 1000}),
      declare(&o::search, &search_options::seed,
              {.name = "search.seed",
               .kind = kind::integer,
               .help = "seed of the proposals"}),
      declare(&o::search, &search_options::survivors,
              {.name = "search.survivors",
               .kind = kind::integer,
               .help = "candidates of the screen that are judged by the reward",
               .least = 1,
               .most = 4096}),
      declare(&o::search, &search_options::preselect,
              {.name = "search.preselect",
               .kind = kind::integer,
               .help = "experts that are searched: those likeliest alone; 0: "
                       "all",
               .most = 1024}),

      declare(&o::rewards, &reward_options::command,
              {.name = "rewards.command",
               .kind = kind::list,
               .help = "the verifier of the reward command: a program and its "
                       "arguments, JSONL in and out"}),
      declare(&o::rewards, &reward_options::sandbox,
              {.name = "rewards.sandbox",
               .kind = kind::boolean,
               .help = "whether the verifier runs in the sandbox"}),
      declare(&o::rewards, &reward_options::workers,
              {.name = "rewards.workers",
               .kind = kind::integer,
               .help = "programs judged at once; 0: one a core",
               .most = 1024}),
      declare(&o::rewards, &reward_options::seconds,
              {.name = "rewards.seconds",
               .kind = kind::real,
               .help = "time of one program, or of the verifier for one answer",
               .unit = "SECONDS",
               .low = 0.1,
               .high = 3600}),
      declare(&o::rewards, &reward_options::memory,
              {.name = "rewards.memory",
               .kind = kind::bytes,
               .help = "memory of one program, or of the verifier",
               .least = 64 * mebibyte,
               .most = 64 * tebibyte}),

      declare(
          &o::route, &route_options::strategy,
          {.name = "route.strategy",
           .help = "how queries without a mixture of their own find one: "
                   "classified by the base (prompt) or by an expert for it "
                   "(classifier; auto: where there is one), or not at all",
           .choices = {"auto", "prompt", "classifier", "base"}}),
      declare(&o::route, &route_options::classifier,
              {.name = "route.classifier",
               .help = "the expert that was trained to classify (t2 expert "
                       "train --classify)",
               .unit = "NAME[@VERSION]"}),
      declare(&o::route, &route_options::confidence,
              {.name = "route.confidence",
               .kind = kind::real,
               .help = "probability of a class under which the base answers",
               .low = 0,
               .high = 1}),
      declare(&o::route, &route_options::labels,
              {.name = "route.labels",
               .kind = kind::list,
               .help = "classes told apart beside those of tasks with a label "
                       "and 'other', which means the base; NAME or 'NAME: "
                       "description'"}),

      declare(&o::log, &log_options::level,
              {.name = "log.level",
               .help = "least severity that is written",
               .unit = "LEVEL",
               .choices = log_level_names()}),
      declare(&o::log, &log_options::file,
              {.name = "log.file",
               .kind = kind::path,
               .help = "file to append the log to, in place of standard error",
               .unit = "FILE"}),
  };
}

}  // namespace

const std::vector<runtime_option>& option_table() {
  static const std::vector<runtime_option> table = build();
  return table;
}

const option& config_option() {
  static const option config{
      .name = "config",
      .kind = option_kind::path,
      .help = "TOML file with these options as [section] key",
      .unit = "FILE",
      .default_note = "$XDG_CONFIG_HOME/t2/t2.toml"};
  return config;
}

}  // namespace t2
