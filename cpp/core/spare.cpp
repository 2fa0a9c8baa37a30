#include "core/spare.h"

#include <atomic>

#include "lstmfast/system.h"

namespace lstmfast {
namespace {

// Written to the kept memory itself.
struct Block {
  Index capacity;
};

// Whoever takes a block out of its slot owns it. No lock: a fork while another thread holds one would leave the child's
// copy of it locked for ever. (A block on its way in or out at that moment is lost to the child, and counted there.)
struct Slot {
  std::atomic<Block*> block{nullptr};
  // Hints, so that a block need not be taken out to be looked at: it may be another's by then.
  std::atomic<Index> capacity{0};
  std::atomic<int> passed{0};
};

constexpr int kSlots = 256;
Slot slots[kSlots];
std::atomic<Index> kept_bytes{0};

void drop(Block* block) {
  kept_bytes.fetch_sub(block->capacity, std::memory_order_relaxed);
  system::release(block);
}

void put(Block* block) {
  for (Slot& slot : slots) {
    Block* none = nullptr;
    if (slot.block.load(std::memory_order_relaxed)) continue;
    const Index capacity = block->capacity;
    if (!slot.block.compare_exchange_strong(none, block, std::memory_order_acq_rel)) continue;
    slot.capacity.store(capacity, std::memory_order_relaxed);
    slot.passed.store(0, std::memory_order_relaxed);
    return;
  }
  drop(block);
}

bool suits(Index capacity, Index bytes) { return capacity >= bytes && capacity <= bytes + bytes / 8; }

}  // namespace

void* take_spare(Index bytes, Index& capacity) {
  if (kept_bytes.load(std::memory_order_relaxed) == 0) return nullptr;
  for (Slot& slot : slots) {
    if (!slot.block.load(std::memory_order_relaxed)) continue;
    const bool wanted = suits(slot.capacity.load(std::memory_order_relaxed), bytes);
    if (!wanted && slot.passed.fetch_add(1, std::memory_order_relaxed) < kMostPassed) continue;
    Block* const block = slot.block.exchange(nullptr, std::memory_order_acq_rel);
    if (!block) continue;
    if (suits(block->capacity, bytes)) {
      kept_bytes.fetch_sub(block->capacity, std::memory_order_relaxed);
      capacity = block->capacity;
      return block;
    }
    wanted ? put(block) : drop(block);
  }
  return nullptr;
}

void keep_spare(void* memory, Index capacity) {
  Block* const block = static_cast<Block*>(memory);
  block->capacity = capacity;
  if (kept_bytes.fetch_add(capacity, std::memory_order_relaxed) + capacity > kMostSpareBytes)
    drop(block);
  else
    put(block);
}

void drop_spares() {
  for (Slot& slot : slots)
    if (Block* const block = slot.block.exchange(nullptr, std::memory_order_acq_rel)) drop(block);
}

Index spare_bytes() { return kept_bytes.load(std::memory_order_relaxed); }

}  // namespace lstmfast
