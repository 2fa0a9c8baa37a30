#include "core/spare.h"

#include <stdlib.h>

#include <atomic>

namespace lstmfast {
namespace {

// Written to the kept memory itself.
struct Block {
  Index capacity;
};

// Whoever takes a block out of its slot owns it. No lock: a fork while another thread holds one would leave the child's
// copy of it locked for ever.
constexpr int kSlots = 64;
std::atomic<Block*> slots[kSlots];
std::atomic<Index> kept_bytes{0};

bool put(Block* block) {
  for (std::atomic<Block*>& slot : slots) {
    Block* none = nullptr;
    if (slot.compare_exchange_strong(none, block, std::memory_order_acq_rel)) return true;
  }
  return false;
}

void drop(Block* block) {
  kept_bytes.fetch_sub(block->capacity, std::memory_order_relaxed);
  free(block);
}

bool suits(const Block& block, Index bytes) { return block.capacity >= bytes && block.capacity <= bytes + bytes / 8; }

}  // namespace

void* take_spare(Index bytes, Index& capacity) {
  if (kept_bytes.load(std::memory_order_relaxed) == 0) return nullptr;
  for (std::atomic<Block*>& slot : slots) {
    Block* const block = slot.exchange(nullptr, std::memory_order_acq_rel);
    if (!block) continue;
    if (suits(*block, bytes)) {
      kept_bytes.fetch_sub(block->capacity, std::memory_order_relaxed);
      capacity = block->capacity;
      return block;
    }
    if (!put(block)) drop(block);
  }
  for (std::atomic<Block*>& slot : slots)
    if (Block* const block = slot.exchange(nullptr, std::memory_order_acq_rel)) drop(block);
  return nullptr;
}

void keep_spare(void* memory, Index capacity) {
  Block* const block = static_cast<Block*>(memory);
  if (kept_bytes.fetch_add(capacity, std::memory_order_relaxed) + capacity > kMostSpareBytes) {
    kept_bytes.fetch_sub(capacity, std::memory_order_relaxed);
    free(block);
    return;
  }
  block->capacity = capacity;
  if (!put(block)) drop(block);
}

}  // namespace lstmfast
