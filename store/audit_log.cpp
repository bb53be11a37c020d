#include "store/audit_log.hpp"

#include <algorithm>
#include <limits>

#include "store/row_digest.hpp"
#include "store/store_failure.hpp"

namespace t2 {
namespace {

std::string chain_of(std::string_view before, const audit_entry& entry) {
  return row_digest("audit_log")
      .add(before)
      .add(entry.sequence)
      .add(entry.time)
      .add(std::string_view(entry.action))
      .add(std::string_view(entry.subject))
      .add(std::string_view(entry.detail_json))
      .hex();
}

struct chain_end {
  std::int64_t sequence = 0;
  std::string chain;
};

chain_end last_until(sqlite_database& db, std::int64_t sequence) {
  auto row = db.prepare(
      "SELECT sequence, chain FROM audit_log WHERE sequence <= ?1 "
      "ORDER BY sequence DESC LIMIT 1");
  if (!row.bind(sequence).step()) return {};
  return {.sequence = row.integer(0), .chain = row.text(1)};
}

/// As a JSON string; names have no control characters.
std::string quoted(std::string_view name) {
  std::string text = "\"";
  for (const char c : name) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text + '"';
}

}  // namespace

std::string audit_detail(std::string members, std::string_view caller) {
  if (!caller.empty()) {
    if (!members.empty()) members += ',';
    members += "\"by\":" + quoted(caller);
  }
  return "{" + members + "}";
}

void append_audit(sqlite_database& db, std::int64_t time,
                  std::string_view action, std::string_view subject,
                  std::string_view detail_json) {
  const auto end = last_until(db, std::numeric_limits<std::int64_t>::max());
  const audit_entry entry{.sequence = end.sequence + 1,
                          .time = time,
                          .action = std::string(action),
                          .subject = std::string(subject),
                          .detail_json = std::string(detail_json)};
  db.prepare("INSERT INTO audit_log VALUES(?1, ?2, ?3, ?4, ?5, ?6)")
      .bind(entry.sequence, entry.time, entry.action, entry.subject,
            entry.detail_json, chain_of(end.chain, entry))
      .run();
}

std::vector<audit_entry> read_audit(sqlite_database& db, std::int64_t last) {
  const auto end = last_until(db, std::numeric_limits<std::int64_t>::max());
  const std::int64_t skipped =
      end.sequence - std::clamp<std::int64_t>(last, 0, end.sequence);
  auto before = last_until(db, skipped);
  if (before.sequence != skipped) {
    fail(ec::corrupt, "store " + db.label() + ": audit entry " +
                          std::to_string(skipped) + " is missing");
  }
  auto rows = db.prepare(
      "SELECT sequence, time, action, subject, detail_json, chain "
      "FROM audit_log WHERE sequence > ?1 ORDER BY sequence");
  rows.bind(skipped);
  std::vector<audit_entry> entries;
  while (rows.step()) {
    audit_entry entry{.sequence = rows.integer(0),
                      .time = rows.integer(1),
                      .action = rows.text(2),
                      .subject = rows.text(3),
                      .detail_json = rows.text(4)};
    const std::string chain = chain_of(before.chain, entry);
    if (entry.sequence != before.sequence + 1 || rows.text(5) != chain) {
      fail(ec::corrupt, "store " + db.label() + ": audit entry " +
                            std::to_string(before.sequence + 1) +
                            ": expected chain " + chain + ", found " +
                            rows.text(5) + " of entry " +
                            std::to_string(entry.sequence));
    }
    before = {.sequence = entry.sequence, .chain = chain};
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace t2
