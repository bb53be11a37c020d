#include <array>
#include <utility>

#include "http/api_routes.hpp"

namespace t2 {
namespace {

struct granted {
  const char* method;
  const char* path;
};

// What is in none of the lists is for administrators.
constexpr std::array open_to_all = {
    granted{"GET", "/"},
    granted{"GET", "/health"},
    granted{"GET", "/ready"},
    granted{"GET", "/openapi.json"},
};
constexpr std::array open_to_users = {
    granted{"GET", "/v1/models"},
    granted{"GET", "/v1/models/{id}"},
    granted{"POST", "/v1/chat/completions"},
    granted{"POST", "/v1/completions"},
    granted{"POST", "/v1/embeddings"},
    granted{"GET", "/v1/tasks"},
    granted{"GET", "/v1/tasks/{name}"},
    granted{"GET", "/v1/tasks/{name}/adaptations"},
    granted{"GET", "/v1/experts"},
    granted{"GET", "/v1/experts/{name}"},
    granted{"GET", "/v1/experts/{name}/versions"},
    granted{"GET", "/v1/experts/{name}/heatmap"},
    granted{"GET", "/v1/jobs"},
    granted{"GET", "/v1/jobs/{id}"},
    granted{"GET", "/v1/evaluations"},
};

constexpr std::array open_to_monitors = {
    granted{"GET", "/metrics"},
};

}  // namespace

void grant_access(router& routes) {
  for (const auto& [method, path] : open_to_all) {
    routes.allow(method, path, http_scope::open);
  }
  for (const auto& [method, path] : open_to_users) {
    routes.allow(method, path, http_scope::use);
  }
  for (const auto& [method, path] : open_to_monitors) {
    routes.allow(method, path, http_scope::metrics);
  }
}

}  // namespace t2
