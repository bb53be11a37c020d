#include "http/tls_context.hpp"

namespace t2 {

namespace ssl = boost::asio::ssl;

result<std::unique_ptr<ssl::context>> make_tls_context(
    const std::filesystem::path& certificate,
    const std::filesystem::path& key) {
  auto made = std::make_unique<ssl::context>(ssl::context::tls_server);
  boost::system::error_code failed;
  made->set_options(ssl::context::default_workarounds |
                        ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1,
                    failed);
  SSL_CTX_set_mode(made->native_handle(), SSL_MODE_RELEASE_BUFFERS);
  if (!failed) {
    made->use_certificate_chain_file(certificate.string(), failed);
    if (failed) {
      return error{ec::invalid_argument,
                   "server.tls_certificate: " + certificate.string() +
                       ": expected a certificate (PEM), found: " +
                       failed.message()};
    }
    made->use_private_key_file(key.string(), ssl::context::pem, failed);
  }
  if (failed) {
    return error{ec::invalid_argument,
                 "server.tls_key: " + key.string() +
                     ": expected the certificate's private key (PEM), found: " +
                     failed.message()};
  }
  return made;
}

}  // namespace t2
