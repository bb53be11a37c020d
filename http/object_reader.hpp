#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/result.hpp"

namespace t2 {

/// A request's body; an empty one counts as {}. Bad JSON is
/// ec::invalid_argument.
result<nlohmann::json> parse_object(std::string_view body);

/// Reads the members of one JSON object into variables and keeps the first
/// thing that is wrong with it. Members that nobody read are errors too:
/// finish() names the nearest known one. A member that is absent or null
/// leaves its variable as it is.
///
///     object_reader in(body, "body");
///     in.require("name").read("name", spec.name);
///     in.read("steps", spec.steps, 1, 1'000'000);
///     if (auto ok = in.finish(); !ok) return ok.error();
class object_reader {
 public:
  /// `where` says in errors what the object is. Keeps a reference to `value`.
  object_reader(const nlohmann::json& value, std::string where);

  /// The member must be there.
  object_reader& require(std::string_view name);

  void read(std::string_view name, bool& out);
  void read(std::string_view name, std::string& out,
            std::size_t most_bytes = std::numeric_limits<std::size_t>::max());
  void read(std::string_view name, std::optional<std::string>& out);
  /// `least` and `most` are allowed.
  void read(std::string_view name, std::int64_t& out, std::int64_t least,
            std::int64_t most = std::numeric_limits<std::int64_t>::max());
  void read(std::string_view name, std::uint64_t& out);
  void read(std::string_view name, double& out, double low, double high);
  void read(std::string_view name, std::vector<std::string>& out,
            std::size_t most_items = 1024);
  /// A text out of `choices`.
  void read_choice(std::string_view name, std::string& out,
                   const std::vector<std::string>& choices);
  /// The member itself, for nested forms; null when absent.
  const nlohmann::json* member(std::string_view name);
  /// Known, and of no effect here.
  void ignore(std::string_view name) { member(name); }
  /// Known, but only with this one value.
  void accept_only(std::string_view name, const nlohmann::json& value);

  /// Remembers a failure, unless there has been one.
  void fail(ec code, std::string message);
  /// The same about a member: `body.steps: expected ..., found 7`.
  void fail_member(std::string_view name, const std::string& expected,
                   const nlohmann::json& found);

  /// The first error, or the first unknown member.
  result<void> finish();

  /// `body.name`.
  std::string path(std::string_view name) const;

 private:
  const nlohmann::json& value_;
  std::string where_;
  std::vector<std::string> known_;
  std::optional<error> failure_;
};

}  // namespace t2
