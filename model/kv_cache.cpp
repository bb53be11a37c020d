#include "model/kv_cache.hpp"

#include <ATen/ops/empty.h>
#include <c10/core/TensorOptions.h>

#include <algorithm>

namespace t2 {

struct kv_pool::core {
  std::int64_t layers, kv_heads, head_dim;
  c10::ScalarType dtype;
  c10::Device device;
  std::int64_t budget;
  std::int64_t live = 0;  // pages handed out
  std::vector<std::unique_ptr<kv_page>> free = {};

  std::int64_t elements() const {  // of the keys of a page
    return layers * kv_heads * head_dim * kv_page::tokens;
  }
};

kv_pool::kv_pool(const model_config& config, c10::ScalarType dtype,
                 c10::Device device, std::int64_t budget_bytes)
    : core_(std::make_shared<core>(core{.layers = config.layers,
                                        .kv_heads = config.kv_heads,
                                        .head_dim = config.head_dim,
                                        .dtype = dtype,
                                        .device = device,
                                        .budget = budget_bytes})) {}

std::int64_t kv_pool::page_bytes() const {
  return 2 * core_->elements() *
         static_cast<std::int64_t>(c10::elementSize(core_->dtype));
}

std::int64_t kv_pool::bytes_for(std::int64_t tokens) const {
  return (tokens + kv_page::tokens - 1) / kv_page::tokens * page_bytes();
}

std::int64_t kv_pool::bytes_used() const { return core_->live * page_bytes(); }
std::int64_t kv_pool::budget_bytes() const { return core_->budget; }

kv_page_ref kv_pool::take() {
  auto& c = *core_;
  if (page_bytes() > c.budget - bytes_used()) return nullptr;
  std::unique_ptr<kv_page> page;
  if (c.free.empty()) {
    const auto n = c.elements();
    const auto all =
        at::empty({2 * n}, at::TensorOptions().dtype(c.dtype).device(c.device));
    page = std::make_unique<kv_page>();
    page->keys_lkdp = all.narrow(0, 0, n).view(
        {c.layers, c.kv_heads, c.head_dim, kv_page::tokens});
    page->values_lkpd = all.narrow(0, n, n).view(
        {c.layers, c.kv_heads, kv_page::tokens, c.head_dim});
    page->keys = page->keys_lkdp.mutable_data_ptr();
    page->values = page->values_lkpd.mutable_data_ptr();
  } else {
    page = std::move(c.free.back());
    c.free.pop_back();
  }
  ++c.live;
  return {page.release(), [core = core_](kv_page* back) {
            core->free.emplace_back(back);
            --core->live;
          }};
}

std::shared_ptr<kv_sequence> kv_pool::open(const kv_sequence& parent,
                                           std::int64_t start) const {
  auto sequence = std::make_shared<kv_sequence>();
  for (const auto& segment : parent.segments()) {
    if (segment.first >= start) break;
    sequence->segments_.push_back(segment);
    sequence->segments_.back().last = std::min(segment.last, start);
  }
  sequence->start_ = start;
  sequence->borrowed_ = sequence->segments_.size();
  return sequence;
}

std::shared_ptr<kv_sequence> kv_pool::open(
    std::vector<kv_page_ref> pages) const {
  auto sequence = std::make_shared<kv_sequence>();
  for (auto& page : pages) {
    const auto first = sequence->start_;
    sequence->start_ += kv_page::tokens;
    sequence->segments_.push_back(
        {std::move(page), first, sequence->start_});
  }
  sequence->borrowed_ = sequence->segments_.size();
  return sequence;
}

bool kv_pool::grow(kv_sequence& sequence, std::int64_t end) {
  while (std::max(sequence.room(), sequence.start()) < end) {
    auto page = take();
    if (!page) return false;
    const auto first = std::max(sequence.room(), sequence.start());
    sequence.segments_.push_back(
        {std::move(page), first, first + kv_page::tokens});
  }
  return true;
}

std::shared_ptr<kv_sequence> kv_pool::allocate(
    std::int64_t capacity, const std::shared_ptr<kv_sequence>& parent,
    std::int64_t start) {
  auto sequence = parent ? open(*parent, start) : open();
  if (!grow(*sequence, start + capacity)) return nullptr;
  return sequence;
}

}  // namespace t2
