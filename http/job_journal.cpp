#include "http/job_journal.hpp"

#include <algorithm>
#include <utility>

#include "config/durable_file.hpp"

namespace t2 {
namespace {

constexpr const char* format_name = "t2-jobs-1";
constexpr std::size_t most_bytes = std::size_t{16} << 20;

bool is_job(const ordered_json& form) {
  if (!form.is_object()) return false;
  for (const char* text : {"id", "kind", "subject", "status"})
    if (!form.contains(text) || !form[text].is_string()) return false;
  return form.contains("created") && form["created"].is_number_integer();
}

}  // namespace

job_journal::job_journal(std::filesystem::path path) : path_(std::move(path)) {
  if (path_.empty()) return;
  const auto bytes = read_file(path_, most_bytes);
  if (!bytes) return;
  const auto whole = ordered_json::parse(*bytes, nullptr, false);
  if (!whole.is_object() || whole.value("format", ordered_json()) != format_name)
    return;
  const auto jobs = whole.find("jobs");
  if (jobs == whole.end() || !jobs->is_array()) return;
  std::ranges::copy_if(*jobs, std::back_inserter(jobs_), is_job);
}

std::vector<ordered_json> job_journal::read() const { return jobs_; }

result<void> job_journal::put(const ordered_json& job) {
  if (path_.empty()) return {};
  const auto same = std::ranges::find_if(
      jobs_, [&](const auto& one) { return one["id"] == job.at("id"); });
  if (same == jobs_.end())
    jobs_.push_back(job);
  else
    *same = job;
  while (jobs_.size() > 2 * kept) jobs_.erase(jobs_.begin());
  return write();
}

result<void> job_journal::erase(const std::string& id) {
  const auto gone =
      std::erase_if(jobs_, [&](const auto& one) { return one["id"] == id; });
  return gone == 0 ? result<void>{} : write();
}

result<void> job_journal::write() const {
  return write_file_durably(
      path_, std::string_view{
                 ordered_json{{"format", format_name}, {"jobs", jobs_}}.dump(
                     1, ' ', false, ordered_json::error_handler_t::replace)});
}

}  // namespace t2
