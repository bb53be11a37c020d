#pragma once

#include <exception>
#include <new>
#include <string>
#include <type_traits>
#include <utility>

#include "config/result.hpp"

namespace t2 {

/// How an error travels inside this room: a failing SQL statement sits too
/// deep for every caller to pass a result on. It never leaves: each public
/// function runs in guarded().
struct store_failure {
  t2::error what;
};

[[noreturn]] inline void fail(ec code, std::string message) {
  throw store_failure{{code, std::move(message)}};
}

/// Runs `body` and turns what it throws into an error.
template <class Body>
auto guarded(Body&& body) -> result<std::invoke_result_t<Body>> {
  try {
    if constexpr (std::is_void_v<std::invoke_result_t<Body>>) {
      std::forward<Body>(body)();
      return {};
    } else {
      return std::forward<Body>(body)();
    }
  } catch (store_failure& failure) {
    return std::move(failure.what);
  } catch (const std::bad_alloc&) {
    return error{ec::exhausted, "store: out of memory"};
  } catch (const std::exception& unexpected) {
    return error{ec::internal, std::string("store: ") + unexpected.what()};
  }
}

/// The value, or the error thrown on.
template <class T>
T value_or_fail(result<T> r) {
  if (!r) throw store_failure{r.error()};
  if constexpr (!std::is_void_v<T>) return *std::move(r);
}

}  // namespace t2
