#include "store/record_validation.hpp"

#include <algorithm>
#include <set>
#include <string>

#include "store/record_limits.hpp"
#include "store/store_failure.hpp"

namespace t2 {
namespace {

// Length of the well-formed UTF-8 sequence at the start of `text` (Unicode
// 15, table 3-7); 0 where there is none.
std::size_t sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const auto follows = [&](std::size_t i, unsigned low, unsigned high) {
    return byte(i) >= low && byte(i) <= high;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  if (first < 0xe0) return follows(1, 0x80, 0xbf) ? 2 : 0;
  if (first < 0xf0) {
    const unsigned low = first == 0xe0 ? 0xa0 : 0x80;   // no overlong form
    const unsigned high = first == 0xed ? 0x9f : 0xbf;  // no surrogate
    return follows(1, low, high) && follows(2, 0x80, 0xbf) ? 3 : 0;
  }
  const unsigned low = first == 0xf0 ? 0x90 : 0x80;
  const unsigned high = first == 0xf4 ? 0x8f : 0xbf;
  return follows(1, low, high) && follows(2, 0x80, 0xbf) &&
                 follows(3, 0x80, 0xbf)
             ? 4
             : 0;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

[[noreturn]] void refuse(std::string_view field, const std::string& expected) {
  fail(ec::invalid_argument, std::string(field) + ": expected " + expected);
}

void require_text(std::string_view field, std::string_view text,
                  std::size_t most) {
  if (text.size() > most) {
    refuse(field, "at most " + std::to_string(most) + " bytes, found " +
                      std::to_string(text.size()));
  }
  if (!is_utf8(text)) refuse(field, "UTF-8, found other bytes");
}

void require_word(std::string_view field, std::string_view text,
                  std::size_t most) {
  if (text.empty()) refuse(field, "a text, found none");
  require_text(field, text, most);
}

void require_json(sqlite_database& db, std::string_view field,
                  std::string_view text) {
  require_text(field, text, record_limits::json);
  auto parsed = db.prepare("SELECT json_valid(?1)");
  // SQLite's parser would stop at a NUL and not see what follows.
  const bool has_nul = text.find('\0') != text.npos;
  if (has_nul || !parsed.bind(text).step() || !parsed.boolean(0)) {
    refuse(field, "JSON, found '" + std::string(text.substr(0, 80)) + "'");
  }
}

void require_hex_64(std::string_view field, std::string_view text) {
  const bool sound =
      text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
      });
  if (!sound) {
    refuse(field, "64 lower-case hexadecimal digits, found '" +
                      std::string(text.substr(0, 80)) + "'");
  }
}

}  // namespace

void require_valid_description(std::string_view description) {
  require_text("description", description, record_limits::short_text);
}

void require_valid(sqlite_database& db, const store_base_model& base) {
  require_hex_64("fingerprint", base.fingerprint);
  require_word("name", base.name, record_limits::short_text);
  require_json(db, "config_json", base.config_json);
}

void require_valid(sqlite_database& db, const store_expert_version& version) {
  if (version.z_safetensors.empty()) refuse("z", "bytes, found none");
  if (version.z_safetensors.size() > record_limits::z) {
    refuse("z", "at most " + std::to_string(record_limits::z) +
                    " bytes, found " +
                    std::to_string(version.z_safetensors.size()));
  }
  if (version.norm != "none" && version.norm != "nuclear") {
    refuse("norm", "none or nuclear, found '" + version.norm + "'");
  }
  require_word("targets", version.targets, record_limits::short_text);
  require_json(db, "provenance_json", version.provenance_json);
}

void require_valid(sqlite_database& db, const store_task& task) {
  value_or_fail(check_name("task", task.name));
  if (task.name == "base" || task.name == "auto") {
    refuse("task", "a name that is not the base's or auto, found '" +
                       task.name + "'");
  }
  require_valid_description(task.description);
  require_word("reward", task.reward, record_limits::short_text);
  if (task.form != "raw" && task.form != "chat") {
    refuse("form", "raw or chat, found '" + task.form.substr(0, 80) + "'");
  }
  require_json(db, "options_json", task.options_json);
  if (task.examples.size() > record_limits::examples) {
    refuse("examples", "at most " + std::to_string(record_limits::examples) +
                           ", found " + std::to_string(task.examples.size()));
  }
  std::size_t total = 0;
  std::set<std::string_view> ids;
  for (const store_example& example : task.examples) {
    require_word("example's id", example.id, record_limits::short_text);
    const std::string field = "example '" + example.id + "'";
    if (!ids.insert(example.id).second) refuse(field, "an id used once");
    require_text(field + ": prompt", example.prompt, record_limits::text);
    require_text(field + ": answer", example.answer, record_limits::text);
    require_json(db, field + ": extra_json", example.extra_json);
    total += example.prompt.size() + example.answer.size() +
             example.extra_json.size();
  }
  if (total > record_limits::task) {
    refuse("examples", "at most " + std::to_string(record_limits::task) +
                           " bytes in all, found " + std::to_string(total));
  }
}

void require_valid(sqlite_database& db, const store_adaptation& adaptation) {
  require_hex_64("key", adaptation.key);
  require_json(db, "mixture_json", adaptation.mixture_json);
  require_json(db, "scores_json", adaptation.scores_json);
  require_json(db, "cost_json", adaptation.cost_json);
  if (adaptation.used.size() > record_limits::used_versions) {
    refuse("used versions",
           "at most " + std::to_string(record_limits::used_versions) +
               ", found " + std::to_string(adaptation.used.size()));
  }
}

void require_valid(sqlite_database& db, const store_evaluation& evaluation) {
  require_word("dataset", evaluation.dataset, record_limits::short_text);
  require_hex_64("data_sha256", evaluation.data_sha256);
  require_json(db, "scores_json", evaluation.scores_json);
  require_json(db, "cost_json", evaluation.cost_json);
}

}  // namespace t2
