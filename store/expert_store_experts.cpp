#include <charconv>

#include "config/sha256.hpp"
#include "store/audit_log.hpp"
#include "store/expert_rows.hpp"
#include "store/expert_store_state.hpp"
#include "store/record_limits.hpp"
#include "store/record_validation.hpp"

namespace t2 {
namespace {

std::string numbered(std::string_view name, std::int64_t version) {
  return std::string(name) + "@" + std::to_string(version);
}

// The expert that `name` publishes to, made or revived where it must be. Its
// row points at no version yet.
expert_row expert_to_publish(sqlite_database& db, std::string_view name,
                             std::string_view base,
                             std::string_view description, std::int64_t now) {
  auto found = find_expert(db, name);
  if (!found) {
    expert_row fresh{.record = {.name = std::string(name),
                                .base = std::string(base),
                                .description = std::string(description),
                                .deleted = true,
                                .created = now}};
    fresh.record.id = insert_expert(db, fresh);
    return fresh;
  }
  if (found->record.base != base) {
    fail(ec::incompatible, "expert '" + std::string(name) +
                               "': expected base " + found->record.base +
                               ", found " + std::string(base));
  }
  if (!description.empty()) found->record.description = description;
  return *std::move(found);
}

struct parsed_reference {
  std::string_view name;
  std::int64_t version = 0;  // 0: the current one
};

parsed_reference parse_reference(std::string_view reference) {
  const auto at = reference.find('@');
  if (at == reference.npos) return {.name = reference};
  const std::string_view digits = reference.substr(at + 1);
  parsed_reference parsed{.name = reference.substr(0, at)};
  const char* end = digits.data() + digits.size();
  const auto read = std::from_chars(digits.data(), end, parsed.version);
  if (read.ec != std::errc() || read.ptr != end || parsed.version < 1) {
    fail(ec::invalid_argument,
         "expert '" + std::string(reference.substr(0, 120)) +
             "': expected NAME or NAME@VERSION with a version from 1 on");
  }
  return parsed;
}

}  // namespace

result<void> expert_store::put_base_model(const store_base_model& base) {
  return state_->change([&](sqlite_database& db) {
    require_valid(db, base);
    const std::int64_t now = state_->options.clock();
    auto row = find_base_model(db, base.fingerprint);
    if (!row) {
      row = base;
      row->created = now;
      insert_base_model(db, *row);
      append_audit(db, now, "add_base_model", base.fingerprint,
                   state_->detail());
      return;
    }
    if (row->config_json != base.config_json) {
      fail(ec::incompatible, "base model " + base.fingerprint +
                                 ": expected the stored config_json, found "
                                 "another one");
    }
    if (row->name == base.name) return;
    row->name = base.name;
    update_base_model(db, *row);
    append_audit(db, now, "rename_base_model", base.fingerprint,
                 state_->detail());
  });
}

result<store_base_model> expert_store::get_base_model(
    std::string_view fingerprint) {
  return state_->read(
      [&](sqlite_database& db) { return load_base_model(db, fingerprint); });
}

result<std::vector<store_base_model>> expert_store::list_base_models() {
  return state_->read([](sqlite_database& db) {
    std::vector<store_base_model> bases;
    for (const std::string& fingerprint : base_model_fingerprints(db)) {
      bases.push_back(load_base_model(db, fingerprint));
    }
    return bases;
  });
}

result<store_expert_version> expert_store::publish(
    std::string_view name, std::string_view base,
    const store_expert_version& version, std::string_view description) {
  return state_->change([&](sqlite_database& db) {
    value_or_fail(check_name("expert", name));
    require_valid_description(description);
    require_valid(db, version);
    load_base_model(db, base);
    const std::int64_t now = state_->options.clock();
    expert_row expert = expert_to_publish(db, name, base, description, now);
    store_expert_version stored = version;
    stored.expert_id = expert.record.id;
    stored.expert = expert.record.name;
    stored.base = expert.record.base;
    stored.version = expert.next_version;
    stored.z_bytes = static_cast<std::int64_t>(stored.z_safetensors.size());
    stored.sha256 = sha256_hex(stored.z_safetensors);
    stored.created = now;
    if (stored.parent_version < 0 || stored.parent_version >= stored.version) {
      fail(ec::invalid_argument,
           "parent_version: expected 0 or an earlier version than " +
               std::to_string(stored.version) + ", found " +
               std::to_string(stored.parent_version));
    }
    insert_version(db, stored);
    expert.record.current_version = stored.version;
    expert.record.deleted = false;
    expert.next_version = stored.version + 1;
    update_expert(db, expert);
    append_audit(db, now, "publish", numbered(name, stored.version),
                 state_->detail("\"sha256\":\"" + stored.sha256 + "\""));
    return stored;
  });
}

result<store_expert_version> expert_store::get_version(
    std::string_view reference) {
  return state_->read([&](sqlite_database& db) {
    const auto wanted = parse_reference(reference);
    const auto expert = load_expert(db, wanted.name, wanted.version != 0);
    const std::int64_t version =
        wanted.version != 0 ? wanted.version : expert.record.current_version;
    return load_version(db, expert.record, version, true);
  });
}

result<store_expert> expert_store::get_expert(std::string_view name) {
  return state_->read(
      [&](sqlite_database& db) { return load_expert(db, name).record; });
}

result<std::vector<store_expert>> expert_store::list_experts(
    std::string_view base, bool with_removed) {
  return state_->read([&](sqlite_database& db) {
    std::vector<store_expert> experts;
    for (const std::string& name : expert_names(db)) {
      store_expert expert = load_expert(db, name, true).record;
      if (expert.deleted && !with_removed) continue;
      if (!base.empty() && expert.base != base) continue;
      experts.push_back(std::move(expert));
    }
    return experts;
  });
}

result<std::vector<store_expert_version>> expert_store::history(
    std::string_view name) {
  return state_->read([&](sqlite_database& db) {
    const auto expert = load_expert(db, name, true).record;
    std::vector<store_expert_version> versions;
    for (const std::int64_t number : version_numbers(db, expert.id)) {
      versions.push_back(load_version(db, expert, number, false));
    }
    return versions;
  });
}

result<store_expert> expert_store::rollback(std::string_view name,
                                            std::int64_t version) {
  return state_->change([&](sqlite_database& db) {
    expert_row expert = load_expert(db, name);
    const std::int64_t before = expert.record.current_version;
    // With its bytes: what becomes current must be sound.
    load_version(db, expert.record, version, true);
    expert.record.current_version = version;
    update_expert(db, expert);
    append_audit(db, state_->options.clock(), "rollback",
                 numbered(name, version),
                 state_->detail("\"from\":" + std::to_string(before)));
    return expert.record;
  });
}

result<void> expert_store::remove_expert(std::string_view name) {
  return state_->change([&](sqlite_database& db) {
    expert_row expert = load_expert(db, name);
    expert.record.current_version = 0;
    expert.record.deleted = true;
    update_expert(db, expert);
    delete_unused_versions(db, expert.record.id);
    append_audit(db, state_->options.clock(), "remove_expert", name,
                 state_->detail());
  });
}

}  // namespace t2
