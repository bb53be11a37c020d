#include "http/object_reader.hpp"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <utility>

#include "config/edit_distance.hpp"
#include "config/jsonl.hpp"

namespace t2 {
namespace {

using nlohmann::json;

/// A found value for an error: short, on one line.
std::string excerpt(const json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "a list";
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

std::string between(const auto& low, const auto& high) {
  std::ostringstream out;
  out << "from " << low << " to " << high;
  return out.str();
}

}  // namespace

result<json> parse_object(std::string_view body) {
  if (body.find_first_not_of(" \t\r\n") == std::string_view::npos) {
    return json::object();
  }
  auto value = parse_json(body, {.bytes = body.size(), .depth = 32});
  if (!value) {
    return error{value.error().code, "body: " + value.error().message};
  }
  return value;
}

object_reader::object_reader(const json& value, std::string where)
    : value_(value), where_(std::move(where)) {
  if (!value.is_object()) {
    fail(ec::invalid_argument,
         where_ + ": expected an object, found " + excerpt(value));
  }
}

std::string object_reader::path(std::string_view name) const {
  return where_ + "." + std::string(name);
}

void object_reader::fail(ec code, std::string message) {
  if (!failure_) failure_ = error{code, std::move(message)};
}

void object_reader::fail_member(std::string_view name,
                                const std::string& expected,
                                const json& found) {
  fail(ec::invalid_argument,
       path(name) + ": expected " + expected + ", found " + excerpt(found));
}

const json* object_reader::member(std::string_view name) {
  if (std::ranges::find(known_, name) == known_.end()) {
    known_.emplace_back(name);
  }
  if (!value_.is_object()) return nullptr;
  const auto it = value_.find(std::string(name));
  return it == value_.end() || it->is_null() ? nullptr : &*it;
}

object_reader& object_reader::require(std::string_view name) {
  if (!member(name)) {
    fail(ec::invalid_argument, path(name) + ": expected a value, found none");
  }
  return *this;
}

void object_reader::read(std::string_view name, bool& out) {
  const json* found = member(name);
  if (!found) return;
  if (!found->is_boolean()) return fail_member(name, "true or false", *found);
  out = found->get<bool>();
}

void object_reader::read(std::string_view name, std::string& out,
                         std::size_t most_bytes) {
  const json* found = member(name);
  if (!found) return;
  if (!found->is_string()) return fail_member(name, "a text", *found);
  const auto& text = found->get_ref<const std::string&>();
  if (text.size() > most_bytes) {
    return fail_member(name, "at most " + std::to_string(most_bytes) + " bytes",
                       json(text.size()));
  }
  out = text;
}

void object_reader::read(std::string_view name,
                         std::optional<std::string>& out) {
  std::string text;
  if (!member(name)) return;
  read(name, text);
  out = std::move(text);
}

void object_reader::read(std::string_view name, std::int64_t& out,
                         std::int64_t least, std::int64_t most) {
  const json* found = member(name);
  if (!found) return;
  const bool fits =
      found->is_number_integer() &&
      !(found->is_number_unsigned() &&
        found->get<std::uint64_t>() >
            std::uint64_t{std::numeric_limits<std::int64_t>::max()});
  const std::int64_t value = fits ? found->get<std::int64_t>() : 0;
  if (!fits || value < least || value > most) {
    return fail_member(name, "a whole number " + between(least, most), *found);
  }
  out = value;
}

void object_reader::read(std::string_view name, std::uint64_t& out) {
  const json* found = member(name);
  if (!found) return;
  if (!found->is_number_unsigned()) {
    return fail_member(name, "a whole number from 0", *found);
  }
  out = found->get<std::uint64_t>();
}

void object_reader::read(std::string_view name, double& out, double low,
                         double high) {
  const json* found = member(name);
  if (!found) return;
  const double value = found->is_number() ? found->get<double>() : NAN;
  if (!(value >= low && value <= high)) {
    return fail_member(name, "a number " + between(low, high), *found);
  }
  out = value;
}

void object_reader::read(std::string_view name, std::vector<std::string>& out,
                         std::size_t most_items) {
  const json* found = member(name);
  if (!found) return;
  if (!found->is_array() || found->size() > most_items ||
      !std::ranges::all_of(*found, [](auto& v) { return v.is_string(); })) {
    return fail_member(
        name, "a list of at most " + std::to_string(most_items) + " texts",
        *found);
  }
  out = found->get<std::vector<std::string>>();
}

void object_reader::read_choice(std::string_view name, std::string& out,
                                const std::vector<std::string>& choices) {
  const json* found = member(name);
  if (!found) return;
  if (!found->is_string() ||
      std::ranges::find(choices, found->get<std::string>()) == choices.end()) {
    std::string expected;
    for (const auto& choice : choices)
      expected += (expected.empty() ? "one of " : ", ") + choice;
    return fail_member(name, expected, *found);
  }
  out = found->get<std::string>();
}

void object_reader::accept_only(std::string_view name, const json& value) {
  const json* found = member(name);
  if (found && *found != value) fail_member(name, value.dump(), *found);
}

result<void> object_reader::finish() {
  if (failure_) return *failure_;
  for (const auto& [name, unused] : value_.items()) {
    if (std::ranges::find(known_, name) != known_.end()) continue;
    std::string message =
        where_ + ": unknown member '" + name.substr(0, 64) + "'";
    const std::string near = nearest(name, known_);
    if (!near.empty()) message += ", did you mean '" + near + "'?";
    return error{ec::invalid_argument, std::move(message)};
  }
  return {};
}

}  // namespace t2
