// What a Tape holds. [T, B, ...] arrays are time-major and dense.
#pragma once

#include <vector>

#include "core/buffer.h"
#include "core/row_plan.h"
#include "lstmfast/network.h"

namespace lstmfast {

// Dropout of one row [n], and of its gradient; `to` may be `from`.
template <class T>
void drop_out_row(const TrainingOptions<T>& options, const bool* masks, Index n, const T* from, T* to) {
  for (Index k = 0; k < n; ++k) to[k] = masks[k] ? from[k] * options.scale : T(0);
}

// Where backward has the activated gates from.
enum class GatesAre { kept, made_anew, not_read };

template <class T>
struct Tape<T>::Kept {
  Index steps;          // T
  Index rows;           // B
  Sequence<const T> x;  // the caller's
  Sequence<const T> y;  // the caller's
  RowPlan plan;
  TrainingOptions<T> options;
  GatesAre gates_are;
  Buffer<T> h0;                    // [L*D, B, S]
  Buffer<T> c0;                    // [L*D, B, H]; empty for cells without memory
  std::vector<Buffer<T>> gates;    // [L*D] of [T, B, G, H], activated; empty unless kept
  std::vector<Buffer<T>> c;        // [L*D] of [T, B, H]; empty for cells without memory
  std::vector<Buffer<T>> hidden;   // [L-1] of [T, B, D*S], outputs of all layers but the last
  std::vector<Buffer<T>> dropped;  // [L-1] of [T, B, D*S], likewise after dropout; empty without

  // What layer `layer` > 0 reads.
  const Buffer<T>& input_of(Index layer) const {
    const auto below = static_cast<std::size_t>(layer - 1);
    return dropped.empty() ? hidden[below] : dropped[below];
  }
};

}  // namespace lstmfast
