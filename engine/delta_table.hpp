#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <string>
#include <vector>

#include "engine/sequence.hpp"
#include "model/singular_delta.hpp"

namespace t2 {

/// The mixtures that the engine knows, each in a slot that steps name. Who holds a
/// slot keeps it; of the others as many stay as there are bytes for, the most
/// recently used ones. One thread.
class delta_table {
 public:
  explicit delta_table(std::int64_t bytes) : budget_(bytes) {}

  /// The slot of this mixture, by its digest; held until release().
  delta_slot hold(const delta_ref& delta);
  void release(delta_slot slot);
  const delta_ref& operator[](delta_slot slot) const;

  /// A mixture that was known before; null: it is not, or not any more.
  delta_ref find(const std::string& digest);

  std::int64_t bytes() const { return bytes_; }
  std::int64_t size() const { return static_cast<std::int64_t>(known_.size()); }

 private:
  struct entry {
    delta_ref delta;
    std::int64_t holders = 0;
    std::list<delta_slot>::iterator place;  // in idle_, while nobody holds it
  };
  void shrink();

  std::int64_t budget_, bytes_ = 0;
  std::vector<entry> entries_;
  std::vector<delta_slot> freed_;
  std::map<std::string, delta_slot> known_;
  std::list<delta_slot> idle_;  // most recently used first
};

}  // namespace t2
