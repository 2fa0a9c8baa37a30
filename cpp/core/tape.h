// What a Tape holds. [T, B, ...] arrays are time-major and dense.
#pragma once

#include <vector>

#include "core/buffer.h"
#include "lstmfast/network.h"

namespace lstmfast {

template <class T>
struct Tape<T>::Kept {
  Index steps;                    // T
  Index rows;                     // B
  Sequence<const T> x;            // the caller's
  Sequence<const T> y;            // the caller's
  Buffer<T> h0;                   // [L*D, B, H]
  Buffer<T> c0;                   // [L*D, B, H]; empty for cells without memory
  std::vector<Buffer<T>> gates;   // [L*D] of [T, B, G, H], activated
  std::vector<Buffer<T>> c;       // [L*D] of [T, B, H]; empty for cells without memory
  std::vector<Buffer<T>> hidden;  // [L-1] of [T, B, D*H], outputs of all layers but the last
};

}  // namespace lstmfast
