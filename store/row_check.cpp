#include "store/row_check.hpp"

#include <limits>

#include "store/adaptation_rows.hpp"
#include "store/audit_log.hpp"
#include "store/expert_rows.hpp"
#include "store/store_failure.hpp"
#include "store/task_rows.hpp"

namespace t2 {
namespace {

class problem_list {
 public:
  void add(std::string problem) { problems_.push_back(std::move(problem)); }

  /// Runs `check`; what it throws is a problem, and the search goes on.
  template <class Check>
  void note(Check&& check) {
    try {
      check();
    } catch (const store_failure& failure) {
      add(failure.what.message);
    }
  }

  std::vector<std::string> take() { return std::move(problems_); }

 private:
  std::vector<std::string> problems_;
};

void check_pages(sqlite_database& db, problem_list& problems) {
  auto findings = db.prepare("PRAGMA integrity_check");
  while (findings.step()) {
    if (findings.text(0) != "ok") problems.add("pages: " + findings.text(0));
  }
}

void check_references(sqlite_database& db, problem_list& problems) {
  auto findings = db.prepare("PRAGMA foreign_key_check");
  while (findings.step()) {
    problems.add("table " + findings.text(0) + ", row " + findings.text(1) +
                 ": refers to a row of " + findings.text(2) +
                 " that is not there");
  }
}

void check_experts(sqlite_database& db, problem_list& problems) {
  for (const std::string& name : expert_names(db)) {
    problems.note([&] {
      const store_expert expert = load_expert(db, name, true).record;
      for (const std::int64_t version : version_numbers(db, expert.id)) {
        problems.note([&] { load_version(db, expert, version, true); });
      }
    });
  }
}

}  // namespace

std::vector<std::string> find_problems(sqlite_database& db) {
  problem_list problems;
  problems.note([&] { check_pages(db, problems); });
  problems.note([&] { check_references(db, problems); });
  for (const std::string& fingerprint : base_model_fingerprints(db)) {
    problems.note([&] { load_base_model(db, fingerprint); });
  }
  problems.note([&] { check_experts(db, problems); });
  for (const std::string& name : task_names(db)) {
    problems.note([&] { load_task(db, name); });
  }
  for (const std::int64_t id : adaptation_ids(db)) {
    problems.note([&] { load_adaptation(db, id); });
  }
  for (const std::int64_t id : evaluation_ids(db)) {
    problems.note([&] { load_evaluation(db, id); });
  }
  problems.note(
      [&] { read_audit(db, std::numeric_limits<std::int64_t>::max()); });
  return problems.take();
}

}  // namespace t2
