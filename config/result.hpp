#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace t2 {

/// What kind of failure it was; the message says the rest. The numbers travel
/// in messages and the exit codes of `t2` derive from them (docs/formats.md):
/// never renumber.
enum class ec : unsigned char {
  none = 0,              // CAF reserves 0 for "no error"
  invalid_argument = 1,  // a flag, key, request or file that says nonsense
  not_found = 2,         // a file, task, expert, version that is not there
  already_exists = 3,    // a name that is taken
  corrupt = 4,           // a checksum, shape or page that does not verify
  incompatible = 5,      // right in itself, made for another base or version
  io = 6,                // the operating system refused
  busy = 7,              // a queue is full or another process holds the lock
  cancelled = 8,         // the caller asked for it
  deadline = 9,          // the caller's time ran out
  exhausted = 10,        // a byte or token budget is too small
  unavailable = 11,      // a part is down or shutting down
  internal = 12,         // a defect of t2
};

std::string_view to_string(ec code);

struct error {
  ec code = ec::internal;
  /// One line: names the file, the key, what was expected and what was found.
  std::string message;
};

/// A value or an error. `if (!r) return r.error();` passes an error on.
template <class T>
class [[nodiscard]] result {
 public:
  result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  result(t2::error failure) : state_(std::in_place_index<1>, std::move(failure)) {}

  explicit operator bool() const { return state_.index() == 0; }
  T& operator*() & { return std::get<0>(state_); }
  const T& operator*() const& { return std::get<0>(state_); }
  T&& operator*() && { return std::get<0>(std::move(state_)); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }
  const t2::error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, t2::error> state_;
};

template <>
class [[nodiscard]] result<void> {
 public:
  result() = default;
  result(t2::error failure) : failure_(std::move(failure)) {}

  explicit operator bool() const { return !failure_; }
  const t2::error& error() const { return *failure_; }

 private:
  std::optional<t2::error> failure_;
};

}  // namespace t2
