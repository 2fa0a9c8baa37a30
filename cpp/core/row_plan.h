// Rows of different lengths, and rows that start anew: which rows take part in a step, and what state each starts from.
#pragma once

#include <algorithm>

#include "core/buffer.h"
#include "core/range.h"
#include "core/time.h"
#include "lstmfast/network.h"

namespace lstmfast {

// What a row's state before a step is.
enum class Start {
  continues,  // that after the step before
  initial,    // the call's
  cut         // what pieces begin from that begin at a cut: zero, or what the call says
};

// Rows by length, the longest first, so that those that take part in a step are always the first ones.
class RowPlan {
 public:
  RowPlan() = default;  // of a call whose rows all take part in all steps, without a cut
  // Copies both. Throws std::bad_alloc.
  RowPlan(Index steps, Index rows, const RowTimes& times);

  bool plain() const { return !order_.data(); }
  Index bytes() const {
    return length_.bytes() + order_.bytes() + active_.bytes() + rows_before_.bytes() + reset_.bytes();
  }

  Index row(Index position) const { return order_.data()[position]; }
  Index length(Index row) const { return length_.data()[row]; }
  Index active(Index t) const { return active_.data()[t]; }  // rows that have a step t
  // Pairs of step and row that there are.
  Index places(Index steps, Index rows) const { return plain() ? steps * rows : places_; }

  // Of packed sequences, [T]: places before those of a step. null: not packed
  const Index* rows_before() const { return rows_before_.data(); }
  bool packed() const { return rows_before_.data(); }
  // How many rows a sequence of all steps and rows has, and which of them is a place's.
  Index stored(Index steps, Index rows) const { return packed() ? places_ : checked_product({steps, rows}); }
  Index stored_at(Index t, Index row, Index rows) const { return (packed() ? rows_before()[t] : t * rows) + row; }

  // Of step s in the order of processing, which the row takes part in.
  Start start(const TimeOrder& order, Index s, Index row) const {
    if (plain()) return s == 0 ? Start::initial : Start::continues;
    return start(order.t(s), row, order.reverse);
  }
  // For t < length(row), unless plain.
  Start start(Index t, Index row, bool reverse) const {
    if (reverse) {
      if (t + 1 == length(row)) return Start::initial;
      return is_reset(t + 1, row) ? Start::cut : Start::continues;
    }
    if (is_reset(t, row)) return Start::cut;
    return t == 0 ? Start::initial : Start::continues;
  }

 private:
  bool is_reset(Index t, Index row) const { return reset_.data() && reset_.data()[t * rows_ + row]; }

  Index rows_ = 0;
  Index places_ = 0;
  Buffer<Index> length_;       // [B]
  Buffer<Index> order_;        // [B]
  Buffer<Index> active_;       // [T]
  Buffer<Index> rows_before_;  // [T]; empty unless packed
  Buffer<bool> reset_;         // [T, B]; empty for none
};

// Where a row's state before time step t is. initial, cut: the row's own.
template <class T>
const T* row_state_before(Start start, Index t, Index row, bool reverse, const T* initial,
                          const Sequence<const T>& states, const T* cut) {
  if (start == Start::cut) return cut;
  return start == Start::initial ? initial : states.at(reverse ? t + 1 : t - 1, row);
}

// What a sequence of so many steps has past a row's end; a packed one has nothing there.
template <class T>
void zero_past_the_end(const RowPlan& plan, Index row, Index steps, const Sequence<T>& sequence, Index features) {
  if (plan.packed()) return;
  for (Index t = plan.length(row); t < steps; ++t) std::fill_n(sequence.at(t, row), features, T(0));
}

// The rows of one thread's share: all of them, or a part. With a plan they are dealt out by turns, so that every
// thread has long ones and short ones.
class Members {
 public:
  // rows: the share's, of a plain plan.
  Members(const RowPlan& plan, const Range& rows, Index row_count, Index part, Index parts)
      : plan_(plan), first_(rows.begin), part_(part), parts_(parts), count_(rows.size()) {
    if (!plan.plain()) count_ = dealt(row_count);
  }

  Index count() const { return count_; }
  // How many have a step t; they are the first ones.
  Index active(Index t) const { return plan_.plain() ? count_ : dealt(plan_.active(t)); }
  Index row(Index k) const { return plan_.plain() ? first_ + k : plan_.row(part_ + k * parts_); }

 private:
  Index dealt(Index count) const { return count > part_ ? (count - part_ - 1) / parts_ + 1 : 0; }

  const RowPlan& plan_;
  Index first_, part_, parts_;
  Index count_;
};

}  // namespace lstmfast
