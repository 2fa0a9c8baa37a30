// What a Tape holds: one block of memory, taken apart. [T, B, ...] arrays are time-major and dense, or packed.
#pragma once

#include <vector>

#include "core/buffer.h"
#include "core/row_plan.h"
#include "core/time.h"
#include "lstmfast/network.h"

namespace lstmfast {

// Dropout of one row [n], and of its gradient; `to` may be `from`. What is dropped is zero, but NaN stays and infinity
// becomes it, as in a product with zero: such numbers must not be lost from sight.
template <class T>
void drop_out_row(const TrainingOptions<T>& options, const bool* masks, Index n, const T* from, T* to) {
  for (Index k = 0; k < n; ++k) to[k] = masks[k] ? from[k] * options.scale : from[k] - from[k];
}

// Where backward has the activated gates from.
enum class GatesAre { kept, made_anew, not_read };

// Where each part of a tape begins in its block, in numbers. Parts begin at a cache line.
template <class T>
struct TapeLayout {
  // places: T * B, or what packed sequences have. Throws std::bad_alloc where no memory could hold it.
  TapeLayout(const NetworkShape& shape, Index places, Index rows, const TrainingOptions<T>& options);

  GatesAre gates_are;
  std::vector<Index> gates;    // [L*D] of [T, B, G, H], activated; empty unless kept
  std::vector<Index> c;        // [L*D] of [T, B, H]; empty for cells without memory
  std::vector<Index> hidden;   // [L-1] of [T, B, D*S], outputs of all layers but the last
  std::vector<Index> dropped;  // [L-1] of [T, B, D*S], likewise after dropout; empty without
  Index h0;                    // [L*D, B, S]
  Index c0;                    // [L*D, B, H]; nothing for cells without memory
  Index cut_h, cut_c;          // [L*D, cut_rows, S] and [L*D, cut_rows, H], likewise
  Index count = 0;             // of all numbers
  std::vector<Range> gaps;     // between parts; zero, for a caller may look at all of its memory

 private:
  Index take(std::initializer_list<Index> sizes);
};

template <class T>
struct Tape<T>::Kept {
  // memory: layout.count numbers, or null for the tape's own.
  Kept(const NetworkShape& shape, const ForwardCall<T>& call, const TrainingOptions<T>& training, T* memory);

  Index steps;  // T
  Index rows;   // B
  RowPlan plan;
  TrainingOptions<T> options;
  TapeLayout<T> layout;
  Sequence<const T> x;  // the caller's
  Sequence<const T> y;  // the caller's

  T* at(Index number) const { return block_ + number; }
  T* h0() const { return at(layout.h0); }
  T* c0() const { return at(layout.c0); }
  T* cut_h() const { return at(layout.cut_h); }
  T* cut_c() const { return at(layout.cut_c); }
  Sequence<T> gates(Index pass, Index features) const { return part(layout.gates, pass, features); }
  Sequence<T> c(Index pass, Index features) const { return part(layout.c, pass, features); }
  // Outputs of a layer but the last, and what layer `layer` > 0 reads.
  Sequence<T> output_of(Index layer, Index features) const { return part(layout.hidden, layer, features); }
  Sequence<T> input_of(Index layer, Index features) const {
    return part(layout.dropped.empty() ? layout.hidden : layout.dropped, layer - 1, features);
  }
  bool keeps_gates() const { return layout.gates_are == GatesAre::kept; }
  bool makes_gates() const { return layout.gates_are == GatesAre::made_anew; }

 private:
  Sequence<T> part(const std::vector<Index>& begins, Index which, Index features) const {
    return time_major(block_ + begins[static_cast<std::size_t>(which)], rows, features, plan.rows_before());
  }

  Buffer<T> own_;
  T* block_;
};

}  // namespace lstmfast
