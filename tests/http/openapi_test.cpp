#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "http/api.hpp"
#include "http/completion_form.hpp"
#include "http/json_forms.hpp"
#include "tests/http/recorded_exchange.hpp"
#include "tests/http/temporary_folder.hpp"

namespace t2 {
namespace {

using nlohmann::json;

/// The API of actors that have no model: its routes are there all the same.
class openapi : public testing::Test {
 protected:
  openapi() {
    runtime_options options;
    options.model.path = (folder_ / "nothing").string();
    options.store.path = (folder_ / "store.db").string();
    auto started = client::start(options, "");
    if (!started) throw std::runtime_error(started.error().message);
    actors_ = *std::move(started);
    routes_ = make_api(*actors_);
    const auto heard = std::make_shared<test::recorded_exchange>();
    routes_.dispatch("/openapi.json", {.method = "GET", .path = {}}, heard);
    document_ = json::parse(heard->whole_.value().body);
  }

  test::temporary_folder folder_;
  std::unique_ptr<client> actors_;
  router routes_;
  json document_;
};

TEST_F(openapi, has_every_route_with_its_scope_and_no_other) {
  std::map<std::string, std::string> served, described;
  for (const auto& route : routes_.list()) {
    served[route.method + " " + route.pattern] = to_string(route.scope);
  }
  const json& paths = document_.at("paths");
  for (const auto& [path, operations] : paths.items()) {
    for (const auto& [method, operation] : operations.items()) {
      if (method == "parameters") continue;
      std::string upper = method;
      for (char& c : upper) c = static_cast<char>(std::toupper(c));
      const std::string scope = operation.at("x-t2-scope");
      described[upper + " " + path] = scope;
      EXPECT_EQ(operation.at("security").empty(), scope == "open") << path;
    }
  }
  EXPECT_EQ(served, described);
}

TEST_F(openapi, names_the_captures_of_every_path) {
  const json& paths = document_.at("paths");
  for (const auto& [path, operations] : paths.items()) {
    const bool captures = path.find('{') != std::string::npos;
    EXPECT_EQ(operations.contains("parameters"), captures) << path;
  }
}

TEST_F(openapi, refers_to_nothing_that_it_lacks) {
  std::size_t references = 0;
  const std::function<void(const json&)> visit = [&](const json& value) {
    if (value.is_object() && value.contains("$ref")) {
      const std::string target = value.at("$ref");
      ASSERT_TRUE(target.starts_with("#/")) << target;
      EXPECT_TRUE(document_.contains(json::json_pointer(target.substr(1))))
          << target;
      ++references;
    }
    if (value.is_structured()) {
      for (const json& inner : value) visit(inner);
    }
  };
  visit(document_);
  EXPECT_GT(references, 50u);
}

TEST_F(openapi, names_no_member_that_a_request_may_not_have) {
  // A request with what it must have, and what reads it.
  struct reading {
    json least;
    std::function<std::string(const std::string&)> error_of;
  };
  const auto by = [](auto parse) {
    return [parse](const std::string& body) {
      const auto parsed = parse(body);
      return parsed ? std::string() : parsed.error().message;
    };
  };
  const std::map<std::string, reading> requests = {
      {"chat_request",
       {{{"messages", {{{"role", "user"}, {"content", "x"}}}}},
        by([](const std::string& body) {
          return parse_completion(body, completion_kind::chat);
        })}},
      {"completion_request",
       {{{"prompt", "x"}}, by([](const std::string& body) {
          return parse_completion(body, completion_kind::text);
        })}},
      {"new_task",
       {{{"name", "x"},
         {"examples", {{{"prompt", "x"}, {"answer", "y"}}}}},
        by([](const std::string& body) { return parse_task(body); })}},
      {"adapt_request", {json::object(), by([](const std::string& body) {
                           return parse_adapt("x", body, {});
                         })}},
      {"training_request", {{{"data", "x"}}, by([](const std::string& body) {
                              return parse_training("x", body);
                            })}},
      {"new_evaluation",
       {{{"model", "x"},
         {"dataset", "x"},
         {"data_sha256", "x"},
         {"prompts", "x"},
         {"scores", json::object()}},
        by([](const std::string& body) { return parse_evaluation(body); })}}};
  const json& schemas = document_.at("components").at("schemas");
  for (const auto& [name, request] : requests) {
    json body = request.least;
    const json& properties = schemas.at(name).at("properties");
    for (const auto& [member, schema] : properties.items()) {
      if (!body.contains(member)) body[member] = nullptr;
    }
    EXPECT_EQ(request.error_of(body.dump()), "") << name;
    const json none = json::array();
    const json required = schemas.at(name).value("required", none);
    EXPECT_EQ(required.size(), request.least.size()) << name;
    for (const json& member : required) {
      json lacking = body;
      lacking.erase(member.get<std::string>());
      EXPECT_NE(request.error_of(lacking.dump()), "") << name << member;
    }
  }
}

TEST_F(openapi, what_changes_something_is_for_administrators) {
  const std::map<std::string, bool> harmless = {
      {"/v1/chat/completions", true},
      {"/v1/completions", true},
      {"/v1/embeddings", true}};
  for (const auto& route : routes_.list()) {
    if (route.method == "GET" || harmless.contains(route.pattern)) continue;
    EXPECT_EQ(route.scope, http_scope::administer)
        << route.method << " " << route.pattern;
  }
}

}  // namespace
}  // namespace t2
