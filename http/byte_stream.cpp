#include "http/byte_stream.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace t2 {
namespace {

namespace asio = boost::asio;
constexpr auto to_tuple = asio::as_tuple(asio::use_awaitable);

}  // namespace

asio::awaitable<byte_stream::error_code> byte_stream::open() {
  if (!tls_) co_return error_code{};
  const auto side = asio::ssl::stream_base::server;
  const auto [failed] = co_await tls_->async_handshake(side, to_tuple);
  co_return failed;
}

asio::awaitable<void> byte_stream::end() {
  if (tls_) co_await tls_->async_shutdown(to_tuple);
}

}  // namespace t2
