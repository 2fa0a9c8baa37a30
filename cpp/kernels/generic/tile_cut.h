// How an ISA cuts its register tiles, and the loop over k that all tiles have.
#pragma once

#include "kernels/generic/inline.h"
#include "lstmfast/kernel_table.h"

namespace lstmfast {
namespace {

// How an ISA's tiles are cut, and its loops written. Where the defaults do not serve, its vec.h has a version for its
// vectors, with the reasons.
template <class V>
struct TileCut {
  // Vectors that lie side by side in a packing: a panel's, or fewer, which tall tiles then read front to back.
  static constexpr Index strip = kPanelVectors;
  // Tiles of up to so many rows take all vectors of a panel; taller ones take two at a time, each pass over k.
  static constexpr int wide_rows = 16;
  // Tiles of so many rows take three vectors at a time, wherever a panel ends; 0: none do.
  static constexpr int across_rows = 0;
  static constexpr int unrolled = 1;  // terms that one turn of a tile's loop adds
  // From so many panels of dW on, dz is copied so that a tile's factors lie side by side; 0: never.
  static constexpr Index copied_panels = 0;
  // From so many rows on a tile keeps the multiply-add units busy; 0: as many as row_tile.
  static constexpr Index busy_rows = 0;
};

// Of a panel.
template <class V>
inline constexpr Index kStrips = kPanelVectors / TileCut<V>::strip;

template <class V, int R>
constexpr Index busy_rows() {
  return TileCut<V>::busy_rows ? TileCut<V>::busy_rows : R;
}

// sum += a * b, rounded once. An ISA may insist on how.
template <class V>
LSTMFAST_INLINE void add_product(V& sum, V a, V b) {
  sum = fma(a, b, sum);
}

// One term of a tile: each row's factor times each column. Of rows and columns, the fewer stay in registers: a tall
// tile has two columns at most.
template <class V, int R, int C, class Factor, class Column>
LSTMFAST_INLINE void add_term(V (&acc)[R][C], Factor&& factor, Column&& column) {
  if constexpr (R > TileCut<V>::wide_rows) {
    V columns[C];
    LSTMFAST_UNROLL for (int c = 0; c < C; ++c) columns[c] = column(c);
    LSTMFAST_UNROLL for (int r = 0; r < R; ++r) {
      const V row = factor(r);
      LSTMFAST_UNROLL for (int c = 0; c < C; ++c) add_product(acc[r][c], row, columns[c]);
    }
  } else {
    V rows[R];
    LSTMFAST_UNROLL for (int r = 0; r < R; ++r) rows[r] = factor(r);
    LSTMFAST_UNROLL for (int c = 0; c < C; ++c) {
      const V one = column(c);
      LSTMFAST_UNROLL for (int r = 0; r < R; ++r) {
        // One row's product reads its column from memory itself.
        if constexpr (R == 1)
          acc[r][c] = fma(rows[r], one, acc[r][c]);
        else
          add_product(acc[r][c], rows[r], one);
      }
    }
  }
}

// Terms [0, count), some in each turn of the loop: add(k).
template <int Unrolled, class F>
LSTMFAST_INLINE void for_terms(Index count, F&& add) {
  Index k = 0;
  if constexpr (Unrolled > 1)
    for (; k + Unrolled <= count; k += Unrolled) LSTMFAST_UNROLL for (int u = 0; u < Unrolled; ++u) add(k + u);
  for (; k < count; ++k) add(k);
}

}  // namespace
}  // namespace lstmfast
