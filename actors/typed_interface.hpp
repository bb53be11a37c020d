#pragma once

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/replies_to.hpp>
#include <caf/result.hpp>
#include <caf/type_id.hpp>
#include <caf/typed_actor.hpp>

#include <type_traits>

namespace t2 {

/// One handler, written as in later releases of CAF: result<Out>(In...).
template <class Signature>
struct handler_of;

template <class T>
constexpr bool is_message =
    caf::has_type_id<std::remove_cv_t<std::remove_reference_t<T>>>::value;

template <class Out, class... In>
struct handler_of<caf::result<Out>(In...)> {
  static_assert((is_message<In> && ...), "a message without a type id");
  static_assert(is_message<Out>, "a response without a type id");
  using type = typename caf::replies_to<In...>::template with<Out>;
};

template <class... In>
struct handler_of<caf::result<void>(In...)> {
  static_assert((is_message<In> && ...), "a message without a type id");
  using type = caf::reacts_to<In...>;
};

/// An actor that answers exactly these handlers.
template <class... Signatures>
using typed_interface =
    caf::typed_actor<typename handler_of<Signatures>::type...>;

}  // namespace t2
