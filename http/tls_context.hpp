#pragma once

#include <boost/asio/ssl/context.hpp>
#include <filesystem>
#include <memory>

#include "config/result.hpp"

namespace t2 {

/// A server's side of TLS 1.2 or later, with a certificate chain and its key
/// from PEM files. ec::invalid_argument names the file that is not right.
result<std::unique_ptr<boost::asio::ssl::context>> make_tls_context(
    const std::filesystem::path& certificate, const std::filesystem::path& key);

}  // namespace t2
