// Transposition, which packing is made of: to[c * to_stride + r] = from[r * from_stride + c].
#pragma once

#include <algorithm>
#include <cstring>

#include "lstmfast/types.h"

namespace lstmfast {

// Columns that are done for all rows before the next ones are begun: a cache line of each row is read once, and so
// few lines are written to that all stay in L1.
inline constexpr Index kTransposeColumns = 16;

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define LSTMFAST_SHUFFLES
#endif
#endif

#ifdef LSTMFAST_SHUFFLES
// A square of 16 bytes by 16 bytes in registers, with the vectors that every CPU of its kind has: twice as fast as
// number by number.
inline void transpose_square(const float* from, Index from_stride, float* to, Index to_stride) {
  using Four = float __attribute__((vector_size(16)));
  Four row[4];
  for (int r = 0; r < 4; ++r) std::memcpy(&row[r], from + r * from_stride, sizeof row[r]);
  const Four low01 = __builtin_shufflevector(row[0], row[1], 0, 4, 1, 5);
  const Four high01 = __builtin_shufflevector(row[0], row[1], 2, 6, 3, 7);
  const Four low23 = __builtin_shufflevector(row[2], row[3], 0, 4, 1, 5);
  const Four high23 = __builtin_shufflevector(row[2], row[3], 2, 6, 3, 7);
  const Four column[4] = {
      __builtin_shufflevector(low01, low23, 0, 1, 4, 5), __builtin_shufflevector(low01, low23, 2, 3, 6, 7),
      __builtin_shufflevector(high01, high23, 0, 1, 4, 5), __builtin_shufflevector(high01, high23, 2, 3, 6, 7)};
  for (int c = 0; c < 4; ++c) std::memcpy(to + c * to_stride, &column[c], sizeof column[c]);
}
inline void transpose_square(const double* from, Index from_stride, double* to, Index to_stride) {
  using Two = double __attribute__((vector_size(16)));
  Two row[2];
  for (int r = 0; r < 2; ++r) std::memcpy(&row[r], from + r * from_stride, sizeof row[r]);
  const Two column[2] = {__builtin_shufflevector(row[0], row[1], 0, 2), __builtin_shufflevector(row[0], row[1], 1, 3)};
  for (int c = 0; c < 2; ++c) std::memcpy(to + c * to_stride, &column[c], sizeof column[c]);
}
#endif

// `from` and `to` share no memory.
template <class T>
void transpose(const T* from, Index from_stride, T* to, Index to_stride, Index rows, Index columns) {
  for (Index first = 0; first < columns; first += kTransposeColumns) {
    const Index count = std::min(kTransposeColumns, columns - first);
    Index r = 0;
#ifdef LSTMFAST_SHUFFLES
    constexpr Index side = 16 / static_cast<Index>(sizeof(T));
    const Index whole = count / side * side;
    for (; r + side <= rows; r += side) {
      for (Index c = first; c < first + whole; c += side)
        transpose_square(from + r * from_stride + c, from_stride, to + c * to_stride + r, to_stride);
      for (Index c = first + whole; c < first + count; ++c)
        for (Index k = r; k < r + side; ++k) to[c * to_stride + k] = from[k * from_stride + c];
    }
#endif
    for (; r < rows; ++r)
      for (Index c = first; c < first + count; ++c) to[c * to_stride + r] = from[r * from_stride + c];
  }
}

}  // namespace lstmfast
