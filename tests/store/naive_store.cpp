#include "tests/store/naive_store.hpp"

#include <algorithm>
#include <random>

#include "tests/store/store_folder.hpp"

namespace t2 {
namespace {

using kind = store_operation::kind;

// Mostly the first, so that most things fit together.
std::string base_name(unsigned i) {
  return i % 4 == 3 ? "base1" : "base0";
}

// Numbers under 12 meet in one small pool of names, the next 12 in the next.
std::string pooled(unsigned i, unsigned size) {
  return std::to_string(i / 12 * size + i % size);
}
std::string expert_name(unsigned i) {
  return "expert" + pooled(i, 4);
}
std::string task_name(unsigned i) {
  return "task" + pooled(i, 4);
}
std::string key_name(unsigned i) {
  return key_of(pooled(i, 5));
}

// A task for one draw in three.
std::string chosen_task(unsigned i) {
  return i % 3 != 0 ? std::string() : task_name(i);
}

std::string z_of(const store_operation& operation, std::size_t bytes) {
  std::string z = std::to_string(operation.c) + "/";
  while (z.size() < bytes) z += z.substr(0, bytes - z.size());
  return z;
}

std::string description_of(const store_operation& operation) {
  return operation.d % 3 == 0 ? "about " + std::to_string(operation.d) : "";
}

std::int64_t parent_of(const store_operation& operation) {
  return operation.d % 3;
}

std::string scores_of(const store_operation& operation) {
  return R"({"score": )" + std::to_string(operation.d) + "}";
}

std::vector<store_version_ref> used_of(const store_operation& operation) {
  std::vector<store_version_ref> used;
  for (unsigned i = 0; i < operation.c % 3; ++i) {
    used.push_back({.expert = expert_name(operation.c + i),
                    .version = 1 + (operation.d + i) % 3});
  }
  return used;
}

bool truncated(const store_operation& operation) {
  return operation.d % 2 == 0;
}

std::string line(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += word + " | ";
  return text + "\n";
}

std::string described(const std::vector<store_version_ref>& used) {
  std::string text;
  for (const auto& ref : used) {
    text += ref.expert + "@" + std::to_string(ref.version) + " ";
  }
  return text;
}

// The names of the things in a dump are theirs, not the row's numbers.
constexpr std::int64_t no_such_id = 1'000'000;

std::string form_of(const store_operation& op) {
  return op.c % 2 == 1 ? "chat" : "raw";
}

}  // namespace

std::string to_string(const store_operation& operation) {
  static const char* const names[] = {
      "put_base",       "publish",           "rollback",
      "remove_expert",  "add_task",          "remove_task",
      "put_adaptation", "remove_adaptation", "put_evaluation"};
  return std::string(names[static_cast<int>(operation.what)]) + "(" +
         std::to_string(operation.a) + ", " + std::to_string(operation.b) +
         ", " + std::to_string(operation.c) + ", " +
         std::to_string(operation.d) + ")";
}

ec naive_store::apply(const store_operation& op, std::int64_t time,
                      std::size_t z_bytes) {
  switch (op.what) {
    case kind::put_base: {
      const auto fingerprint = key_of(base_name(op.a));
      const auto name = "name" + std::to_string(op.b % 3);
      const auto [at, added] = bases_.try_emplace(fingerprint);
      if (added) {
        at->second = {.name = name, .created = time};
        log("add_base_model " + fingerprint);
      } else if (at->second.name != name) {
        at->second.name = name;
        log("rename_base_model " + fingerprint);
      }
      return ec::none;
    }
    case kind::publish: return publish(op, time, z_bytes);
    case kind::rollback: {
      const auto at = experts_.find(expert_name(op.a));
      const std::int64_t version = 1 + op.b % 3;
      if (at == experts_.end() || at->second.current == 0 ||
          !at->second.versions.contains(version)) {
        return ec::not_found;
      }
      at->second.current = version;
      log("rollback " + at->first + "@" + std::to_string(version));
      return ec::none;
    }
    case kind::remove_expert: return remove_expert(expert_name(op.a));
    case kind::add_task: {
      const auto base = key_of(base_name(op.b));
      if (!bases_.contains(base)) return ec::not_found;
      if (tasks_.contains(task_name(op.a))) return ec::already_exists;
      tasks_[task_name(op.a)] = {.base = base,
                                 .form = form_of(op),
                                 .examples = op.c % 4,
                                 .created = time};
      log("add_task " + task_name(op.a));
      return ec::none;
    }
    case kind::remove_task: return remove_task(task_name(op.a));
    case kind::put_adaptation: return put_adaptation(op, time);
    case kind::remove_adaptation: return remove_adaptation(key_name(op.a));
    case kind::put_evaluation: return put_evaluation(op, time);
    case kind::count_: break;
  }
  return ec::internal;
}

ec naive_store::publish(const store_operation& op, std::int64_t time,
                        std::size_t z_bytes) {
  const auto name = expert_name(op.a);
  const auto base = key_of(base_name(op.b));
  if (!bases_.contains(base)) return ec::not_found;
  const auto known = experts_.find(name);
  const auto next = known == experts_.end() ? 1 : known->second.next;
  if (known != experts_.end() && known->second.base != base) {
    return ec::incompatible;
  }
  if (parent_of(op) >= next) return ec::invalid_argument;
  auto [at, added] = experts_.try_emplace(name);
  expert_row& expert = at->second;
  if (added) expert = {.base = base, .description = {}, .created = time};
  if (!description_of(op).empty()) expert.description = description_of(op);
  expert.versions[next] = {
      .z = z_of(op, z_bytes), .parent = parent_of(op), .created = time};
  expert.current = next;
  expert.next = next + 1;
  log("publish " + name + "@" + std::to_string(next));
  return ec::none;
}

bool naive_store::is_used(const std::string& expert,
                          std::int64_t version) const {
  const store_version_ref wanted{.expert = expert, .version = version};
  return std::any_of(
      adaptations_.begin(), adaptations_.end(), [&](const adaptation_row& row) {
        return std::count(row.used.begin(), row.used.end(), wanted) > 0;
      });
}

ec naive_store::remove_expert(const std::string& name) {
  const auto at = experts_.find(name);
  if (at == experts_.end() || at->second.current == 0) return ec::not_found;
  at->second.current = 0;
  std::erase_if(at->second.versions,
                [&](const auto& v) { return !is_used(name, v.first); });
  log("remove_expert " + name);
  return ec::none;
}

ec naive_store::remove_task(const std::string& name) {
  if (tasks_.erase(name) == 0) return ec::not_found;
  for (auto& row : adaptations_) {
    if (row.task == name) row.task.clear();
  }
  for (auto& row : evaluations_) {
    if (row.task == name) row.task.clear();
  }
  log("remove_task " + name);
  return ec::none;
}

naive_store::adaptation_row* naive_store::find_adaptation(
    const std::string& key) {
  const auto at = std::find_if(adaptations_.begin(), adaptations_.end(),
                               [&](const auto& row) { return row.key == key; });
  return at == adaptations_.end() ? nullptr : &*at;
}

ec naive_store::put_adaptation(const store_operation& op, std::int64_t time) {
  const auto base = key_of(base_name(op.b % 12 / 4));
  const auto task = chosen_task(op.b);
  if (!bases_.contains(base)) return ec::not_found;
  if (!task.empty()) {
    if (!tasks_.contains(task)) return ec::not_found;
    if (tasks_[task].base != base) return ec::incompatible;
  }
  for (const auto& used : used_of(op)) {
    const auto at = experts_.find(used.expert);
    if (at == experts_.end()) return ec::not_found;
    if (at->second.base != base) return ec::incompatible;
    if (!at->second.versions.contains(used.version)) return ec::not_found;
  }
  const adaptation_row row{.key = key_name(op.a),
                           .base = base,
                           .task = task,
                           .scores = scores_of(op),
                           .truncated = truncated(op),
                           .used = used_of(op),
                           .created = time};
  if (auto* before = find_adaptation(row.key)) {
    if (!before->truncated) return ec::already_exists;
    for (auto& evaluation : evaluations_) {
      if (evaluation.key == row.key) evaluation.key.clear();
    }
    *before = row;
    log("replace_adaptation " + row.key);
  } else {
    adaptations_.push_back(row);
    log("put_adaptation " + row.key);
  }
  return ec::none;
}

ec naive_store::remove_adaptation(const std::string& key) {
  if (find_adaptation(key) == nullptr) return ec::not_found;
  std::erase_if(adaptations_, [&](const auto& row) { return row.key == key; });
  for (auto& evaluation : evaluations_) {
    if (evaluation.key == key) evaluation.key.clear();
  }
  log("remove_adaptation " + key);
  return ec::none;
}

ec naive_store::put_evaluation(const store_operation& op, std::int64_t time) {
  const auto base = key_of(base_name(op.c));
  const auto task = chosen_task(op.b);
  if (!bases_.contains(base)) return ec::not_found;
  if (!task.empty()) {
    if (!tasks_.contains(task)) return ec::not_found;
    if (tasks_[task].base != base) return ec::incompatible;
  }
  const auto* adaptation = find_adaptation(key_name(op.a));
  if (adaptation == nullptr) return ec::not_found;
  if (adaptation->base != base) return ec::incompatible;
  evaluations_.push_back({.base = base,
                          .task = task,
                          .key = adaptation->key,
                          .scores = scores_of(op),
                          .created = time});
  log("put_evaluation " + std::to_string(evaluations_.size()));
  return ec::none;
}

std::string naive_store::dump() const {
  std::vector<std::string> lines;
  for (const auto& [fingerprint, base] : bases_) {
    lines.push_back(
        line({"base", fingerprint, base.name, std::to_string(base.created)}));
  }
  std::sort(lines.begin(), lines.end());
  for (const auto& [name, expert] : experts_) {
    lines.push_back(
        line({"expert", name, expert.base, expert.description,
              std::to_string(expert.current), std::to_string(expert.created)}));
    for (const auto& [number, version] : expert.versions) {
      lines.push_back(line(
          {"version", std::to_string(number), sha256_hex(version.z),
           std::to_string(version.parent), std::to_string(version.created)}));
    }
  }
  for (const auto& [name, task] : tasks_) {
    lines.push_back(
        line({"task", name, task.base, task.form,
              std::to_string(task.examples),
              std::to_string(task.created)}));
  }
  for (const auto& row : adaptations_) {
    lines.push_back(line({"adaptation", row.key, row.base, row.task, row.scores,
                          row.truncated ? "truncated" : "", described(row.used),
                          std::to_string(row.created)}));
  }
  for (const auto& row : evaluations_) {
    lines.push_back(line({"evaluation", row.base, row.task, row.key, row.scores,
                          std::to_string(row.created)}));
  }
  std::string text;
  for (const auto& each : lines) text += each;
  for (const auto& entry : log_) text += "log " + entry + "\n";
  return text;
}

ec apply(expert_store& store, const store_operation& op, std::size_t z_bytes) {
  const auto task_id = [&]() -> std::optional<std::int64_t> {
    if (chosen_task(op.b).empty()) return {};
    const auto task = store.get_task(chosen_task(op.b));
    return task ? task->id : no_such_id;
  };
  switch (op.what) {
    case kind::put_base:
      return code_of(
          store.put_base_model({.fingerprint = key_of(base_name(op.a)),
                                .name = "name" + std::to_string(op.b % 3)}));
    case kind::publish:
      return code_of(
          store.publish(expert_name(op.a), key_of(base_name(op.b)),
                        sample_version(z_of(op, z_bytes), parent_of(op)),
                        description_of(op)));
    case kind::rollback:
      return code_of(store.rollback(expert_name(op.a), 1 + op.b % 3));
    case kind::remove_expert:
      return code_of(store.remove_expert(expert_name(op.a)));
    case kind::add_task: {
      store_task task = sample_task(task_name(op.a), base_name(op.b));
      task.form = form_of(op);
      task.examples.clear();
      for (unsigned i = 0; i < op.c % 4; ++i) {
        task.examples.push_back({.id = std::to_string(i), .prompt = "p"});
      }
      return code_of(store.add_task(task));
    }
    case kind::remove_task: return code_of(store.remove_task(task_name(op.a)));
    case kind::put_adaptation: {
      auto adaptation =
          sample_adaptation("", used_of(op), base_name(op.b % 12 / 4));
      adaptation.key = key_name(op.a);
      adaptation.task_id = task_id();
      adaptation.scores_json = scores_of(op);
      adaptation.truncated = truncated(op);
      return code_of(store.put_adaptation(adaptation));
    }
    case kind::remove_adaptation:
      return code_of(store.remove_adaptation(key_name(op.a)));
    case kind::put_evaluation: {
      const auto found = store.find_adaptation(key_name(op.a));
      return code_of(
          store.put_evaluation({.task_id = task_id(),
                                .adaptation_id = found ? found->id : no_such_id,
                                .base = key_of(base_name(op.c)),
                                .dataset = "held out",
                                .data_sha256 = key_of("rows"),
                                .scores_json = scores_of(op)}));
    }
    case kind::count_: break;
  }
  return ec::internal;
}

std::string dump(expert_store& store) try {
  std::vector<std::string> lines;
  for (const auto& base : must(store.list_base_models())) {
    lines.push_back(line(
        {"base", base.fingerprint, base.name, std::to_string(base.created)}));
  }
  std::sort(lines.begin(), lines.end());
  for (const auto& expert : must(store.list_experts({}, true))) {
    EXPECT_EQ(expert.deleted, expert.current_version == 0);
    lines.push_back(
        line({"expert", expert.name, expert.base, expert.description,
              std::to_string(expert.current_version),
              std::to_string(expert.created)}));
    for (const auto& version : must(store.history(expert.name))) {
      const auto reference =
          expert.name + "@" + std::to_string(version.version);
      const auto whole = must(store.get_version(reference));
      lines.push_back(line({"version", std::to_string(version.version),
                            sha256_hex(whole.z_safetensors),
                            std::to_string(version.parent_version),
                            std::to_string(version.created)}));
    }
  }
  std::map<std::int64_t, std::string> tasks;
  for (const auto& task : must(store.list_tasks())) {
    tasks[task.id] = task.name;
    lines.push_back(line({"task", task.name, task.base, task.form,
                          std::to_string(task.examples.size()),
                          std::to_string(task.created)}));
  }
  std::map<std::int64_t, std::string> keys;
  for (const auto& row : must(store.list_adaptations())) {
    keys[row.id] = row.key;
    lines.push_back(line({"adaptation", row.key, row.base,
                          row.task_id ? tasks.at(*row.task_id) : "",
                          row.scores_json, row.truncated ? "truncated" : "",
                          described(row.used), std::to_string(row.created)}));
  }
  for (const auto& row : must(store.list_evaluations())) {
    lines.push_back(
        line({"evaluation", row.base, row.task_id ? tasks.at(*row.task_id) : "",
              row.adaptation_id ? keys.at(*row.adaptation_id) : "",
              row.scores_json, std::to_string(row.created)}));
  }
  std::string text;
  for (const auto& each : lines) text += each;
  for (const auto& entry : must(store.audit(no_such_id))) {
    if (entry.action == "create") continue;
    text += "log " + entry.action + " " + entry.subject + "\n";
  }
  return text;
} catch (const std::exception& failure) {
  return std::string("cannot be read: ") + failure.what();
}

std::vector<store_operation> random_operations(unsigned seed,
                                               std::size_t count) {
  std::mt19937 random(seed);
  const auto draw = [&] { return static_cast<unsigned>(random() % 12); };
  // Fresh names from time to time: old ones are worn, their first versions
  // and free keys used up.
  const auto pool = [](std::size_t i) {
    return static_cast<unsigned>(i / 60 * 12);
  };
  std::vector<store_operation> operations;
  for (std::size_t i = 0; i < count; ++i) {
    // Bases, experts and tasks to begin with; one base is used most.
    static constexpr kind first[] = {kind::put_base, kind::publish,
                                     kind::add_task, kind::publish};
    const auto any = static_cast<kind>(random() % unsigned(kind::count_));
    store_operation op{.what = i < 4               ? first[i]
                               : random() % 3 == 0 ? kind::publish
                                                   : any,
                       .a = draw() + pool(i),
                       .b = draw() + pool(i),
                       .c = draw() + pool(i),
                       .d = draw()};
    if (i == 0) op.a = 0;
    operations.push_back(op);
  }
  return operations;
}

}  // namespace t2
