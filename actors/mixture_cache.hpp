#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>

#include "model/singular_delta.hpp"

namespace t2 {

/// Mixtures that are ready to answer under, by key, the longest unused going
/// first when their bytes pass the limit. One thread.
class mixture_cache {
 public:
  explicit mixture_cache(std::int64_t byte_limit) : limit_(byte_limit) {}

  /// A found mixture counts as used. A null delta is the base.
  std::optional<delta_ref> find(const std::string& key);
  /// Replaces one of the same key. One larger than the limit is not kept.
  void put(const std::string& key, delta_ref delta, std::int64_t bytes);
  void clear();

  std::size_t size() const { return by_key_.size(); }
  std::int64_t bytes() const { return bytes_; }

 private:
  struct entry {
    std::string key;
    delta_ref delta;
    std::int64_t bytes = 0;
  };

  void drop(std::list<entry>::iterator e);

  std::int64_t limit_;
  std::int64_t bytes_ = 0;
  std::list<entry> entries_;  // the last used first
  std::map<std::string, std::list<entry>::iterator, std::less<>> by_key_;
};

}  // namespace t2
