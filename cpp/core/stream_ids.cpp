#include "lstmfast/stream_ids.h"

#include <algorithm>

#include "core/buffer.h"

namespace lstmfast {

struct StreamIds::Kept {
  explicit Kept(Index slots) : count(slots), id(slots), free(slots), found(slots), met(slots) { met.fill_zero(); }

  Index count;
  Index open = 0;
  Buffer<Index> id;     // [count], as table() says
  Buffer<Index> free;   // [count - open], the next one to be given last
  Buffer<Index> found;  // [count], room for the slots of a call's ids
  Buffer<bool> met;     // [count], false between calls: slots that a call has named
};

StreamIds::StreamIds(Index count) : kept_(std::make_unique<Kept>(count)) {
  // The first to be opened is slot 0: memory that no stream has needed yet is not touched.
  for (Index slot = 0; slot < count; ++slot) {
    kept_->id.data()[slot] = -1 - slot;
    kept_->free.data()[count - 1 - slot] = slot;
  }
}

StreamIds::~StreamIds() = default;

Index StreamIds::count() const { return kept_->count; }
Index StreamIds::open_count() const { return kept_->open; }
Index StreamIds::bytes() const {
  return kept_->id.bytes() + kept_->free.bytes() + kept_->found.bytes() + kept_->met.bytes();
}
const Index* StreamIds::table() const { return kept_->id.data(); }

Index StreamIds::next() const {
  if (kept_->open == kept_->count) return -1;
  const Index slot = kept_->free.data()[kept_->count - 1 - kept_->open];
  return -1 - kept_->id.data()[slot];
}

Index StreamIds::open() {
  const Index id = next();
  if (id < 0) return id;
  ++kept_->open;
  return kept_->id.data()[slot_of(id)] = id;
}

void StreamIds::close(Index slot) {
  Index& id = kept_->id.data()[slot];
  id = -1 - (id + kMostSlots);
  kept_->free.data()[kept_->count - kept_->open--] = slot;
}

StreamIds::Standing StreamIds::standing(Index id) const {
  if (id < 0 || slot_of(id) >= kept_->count) return Standing::unknown;
  const Index now = kept_->id.data()[slot_of(id)];
  if (now == id) return Standing::open;
  return id < (now < 0 ? -1 - now : now) ? Standing::closed : Standing::unknown;
}

const Index* StreamIds::slots_of(const Index* ids, Index n, Index& at) {
  Index* const found = kept_->found.data();
  bool* const met = kept_->met.data();
  Index k = 0;
  for (; k < n; ++k) {
    const Index id = ids[k];  // once: the caller's memory may change
    if (standing(id) != Standing::open) break;
    const Index slot = slot_of(id);
    if (met[slot]) break;
    met[slot] = true;
    found[k] = slot;
  }
  for (Index j = 0; j < k; ++j) met[found[j]] = false;
  at = k;
  return k == n ? found : nullptr;
}

void StreamIds::list(Index* ids) const {
  std::copy_if(table(), table() + kept_->count, ids, [](Index id) { return id >= 0; });
}

void StreamIds::restore(const Index* table) {
  std::copy_n(table, kept_->count, kept_->id.data());
  kept_->open = 0;
  Index free = 0;
  for (Index slot = kept_->count - 1; slot >= 0; --slot)
    if (table[slot] < 0)
      kept_->free.data()[free++] = slot;
    else
      ++kept_->open;
}

StreamIds::StreamIds(const StreamIds& before, Index count) : StreamIds(count) {
  const Kept& old = *before.kept_;
  kept_->open = old.open;
  std::copy_n(old.id.data(), old.count, kept_->id.data());
  // Freed slots are used again before new ones come into use.
  std::copy_n(old.free.data(), old.count - old.open, kept_->free.data() + (count - old.count));
  for (Index slot = old.count; slot < count; ++slot) kept_->free.data()[count - 1 - slot] = slot;
}

void StreamIds::grow(Index count) {
  StreamIds larger(*this, count);
  swap(larger);
}

}  // namespace lstmfast
