// Ids of streams in a pool: names of slots that are given, taken back and given again.
#pragma once

#include <memory>

#include "lstmfast/types.h"

namespace lstmfast {

// An id is never given twice, so that an old one is known for what it is: it is a slot, and how often that was used
// before.
class StreamIds {
 public:
  static constexpr Index kMostSlots = Index(1) << 24;
  // No use of a slot gets there: with ten million a second it would take a day and more.
  static constexpr Index kMostId = Index(1) << 62;

  // Of slots 0 to count-1, all free; count is at most kMostSlots. Throws std::bad_alloc.
  explicit StreamIds(Index count);
  ~StreamIds();
  StreamIds(const StreamIds&) = delete;
  StreamIds& operator=(const StreamIds&) = delete;

  Index count() const;
  Index open_count() const;
  Index bytes() const;

  // -1: none is free. next() is the id that open() gives.
  Index next() const;
  Index open();
  void close(Index slot);  // an open one

  enum class Standing { open, closed, unknown };
  Standing standing(Index id) const;
  // Of an open id.
  static Index slot_of(Index id) { return id % kMostSlots; }

  // Slots of n ids, valid until the next call; null if one of them is not open or is there twice, and then `at` says
  // which. Takes no memory.
  const Index* slots_of(const Index* ids, Index n, Index& at);

  // The ids of all open slots, in the order of slots: [open_count()].
  void list(Index* ids) const;

  // What makes the same names again: of each slot [count()], its id while it is open, else -1 - the next one.
  const Index* table() const;
  void restore(const Index* table);  // [count()]; every number as table() may have it

  void grow(Index count);
  // The same ids, with more slots: what grow() makes of it. Throws std::bad_alloc.
  StreamIds(const StreamIds& before, Index count);
  void swap(StreamIds& other) noexcept { kept_.swap(other.kept_); }

 private:
  struct Kept;
  std::unique_ptr<Kept> kept_;
};

}  // namespace lstmfast
