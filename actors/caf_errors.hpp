#pragma once

#include <caf/error.hpp>
#include <caf/result.hpp>

#include <string>
#include <string_view>
#include <utility>

#include "config/result.hpp"

CAF_ERROR_CODE_ENUM(t2::ec, "t2")

namespace t2 {

/// Our error as a message between actors: code and text both arrive.
caf::error to_caf(const error& failure);

/// An error that an actor heard. What CAF itself reports (an actor that is
/// down, a request that timed out) becomes unavailable or deadline; `whom`
/// names the actor that was asked.
error from_caf(const caf::error& failure, std::string_view whom);

/// The line that CAF's own output shows for one of our errors.
std::string render_error(std::uint8_t code, const caf::message& context);

template <class T>
caf::result<T> to_caf(result<T> outcome) {
  if (!outcome) return to_caf(outcome.error());
  return std::move(*outcome);
}

}  // namespace t2
