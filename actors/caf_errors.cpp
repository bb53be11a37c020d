#include "actors/caf_errors.hpp"

#include <caf/exit_reason.hpp>
#include <caf/message.hpp>
#include <caf/sec.hpp>

namespace t2 {
namespace {

std::string text_of(const caf::message& context) {
  if (context.match_elements<std::string>()) {
    return context.get_as<std::string>(0);
  }
  return {};
}

}  // namespace

caf::error to_caf(const error& failure) {
  return caf::make_error(failure.code, failure.message);
}

error from_caf(const caf::error& failure, std::string_view whom) {
  if (failure.category() == caf::atom("t2")) {
    return {static_cast<ec>(failure.code()), text_of(failure.context())};
  }
  const std::string who(whom);
  if (failure == caf::sec::request_timeout) {
    return {ec::deadline, who + " did not answer in time"};
  }
  if (failure == caf::sec::runtime_error) {
    const std::string what = text_of(failure.context());
    return {ec::internal,
            who + " failed: " + (what.empty() ? "an exception" : what)};
  }
  return {ec::unavailable,
          who + " ended before it answered: " + caf::to_string(failure)};
}

std::string render_error(std::uint8_t code, const caf::message& context) {
  std::string line(to_string(static_cast<ec>(code)));
  const std::string text = text_of(context);
  return text.empty() ? line : line + ": " + text;
}

}  // namespace t2
