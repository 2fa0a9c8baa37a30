// The register tile: where nearly all the time goes.
//
// z[r][n] = init[r][n] + sum over k of a[r][k] * panel[k][n], one chain for each (r, n, lane), k ascending.
// R rows times P panels of N vectors stay in registers over the whole of k, be it one stretch or two.
#pragma once

#include "kernels/generic/tile_cut.h"
#include "lstmfast/kernel_table.h"

namespace lstmfast {
namespace {

// Terms of k that all rows take from one matrix. Each row has an address of its own: rows of one tile may
// belong to different time steps.
template <class T>
struct Stretch {
  const T* const* rows;  // [R], each [terms]
  Index offset;          // of the first term in every row
  Index terms;
};

// W: the panels' weights as stored, T or smaller.
template <class T, class W>
struct TileArgs {
  Stretch<T> stretches[2];  // x and then h, say; terms may be 0
  const W* panel;           // [P][strip][k][TileCut::strip][lane]; N vectors of each panel are read
  Index panel_stride;
  Index strip_stride;
  const T* init;            // [R][P][strip][TileCut::strip][lane]; strides may be 0 (one row of biases for all rows)
  Index init_stride;        // between rows
  Index init_panel_stride;  // between panels
  Index init_strip_stride;  // between their strips
  T* const* z_rows;         // [R], each [P][kPanelVectors][lane] from z_offset on
  Index z_offset;
  bool add;          // to what is in z already
  const char* next;  // memory that is needed soon, kPrefetched bytes for each term; null for none
};

inline constexpr Index kPrefetched = 64;  // a cache line

// prefetch: whether to ask for args.next meanwhile. First: the vector of the first strip that the tile begins with.
template <class V, class W, int R, int P, int N, bool prefetch = false, int First = 0>
LSTMFAST_TILE void tile(const TileArgs<typename V::Scalar, W>& args) {
  using T = typename V::Scalar;
  constexpr int strip = TileCut<V>::strip;
  V acc[R][P * N];
  LSTMFAST_UNROLL for (int r = 0; r < R; ++r) LSTMFAST_UNROLL for (int p = 0; p < P; ++p)
      LSTMFAST_UNROLL for (int n = 0; n < N; ++n) acc[r][p * N + n] =
          V::load(args.init + r * args.init_stride + p * args.init_panel_stride +
                  (First + n) / strip * args.init_strip_stride + (First + n) % strip * V::lanes);

  const Index panel_stride = args.panel_stride, strip_stride = args.strip_stride;
  const W* w = args.panel;
  const char* next = args.next;
  // Twice in line and not in a loop, and all below unrolled from the start: else the compiler keeps the sums in memory
  // as well, and copies them there and back around each stretch.
  const auto add_products = [&](const Stretch<T>& stretch) __attribute__((always_inline)) {
    const T* a[R];
    LSTMFAST_UNROLL for (int r = 0; r < R; ++r) a[r] = stretch.rows[r] + stretch.offset;
    for_terms<R == 1 ? 1 : TileCut<V>::unrolled>(stretch.terms, [&](Index k) __attribute__((always_inline)) {
      if constexpr (prefetch) {
        __builtin_prefetch(next, 0, R == 1 ? 3 : 2);  // to read, into L1 or L2
        next += kPrefetched;
      }
      add_term<V, R, P * N>(
          acc, [&](int r) __attribute__((always_inline)) { return V::set1(a[r][k]); },
          [&](int c) __attribute__((always_inline)) {
            const int n = First + c % N;
            return V::load(w + c / N * panel_stride + n / strip * strip_stride + n % strip * V::lanes);
          });
      w += strip * V::lanes;
    });
  };
  add_products(args.stretches[0]);
  add_products(args.stretches[1]);

  // At run time, here alone: a second tile for each would take as long to compile as the first.
  const bool add = args.add;
  LSTMFAST_UNROLL for (int r = 0; r < R; ++r) {
    T* const z = args.z_rows[r] + args.z_offset;
    LSTMFAST_UNROLL for (int p = 0; p < P; ++p) LSTMFAST_UNROLL for (int n = 0; n < N; ++n) {
      T* const to = z + (p * kPanelVectors + n) * V::lanes;
      if (add) acc[r][p * N + n] = V::load(to) + acc[r][p * N + n];
      acc[r][p * N + n].store(to);
    }
  }
}

// How many tiles so many rows become, each asking for memory that is needed soon.
template <class V>
LSTMFAST_INLINE constexpr Index passes_of(Index rows) {
  return rows > TileCut<V>::wide_rows ? 2 : 1;
}

// R rows times the first vectors of a panel, for a number of vectors known only at run time.
template <class V, class W, int R>
LSTMFAST_INLINE void wide_tile_of(Index vectors, const TileArgs<typename V::Scalar, W>& args) {
  switch (vectors) {
    case 1: return tile<V, W, R, 1, 1>(args);
    case 2: return tile<V, W, R, 1, 2>(args);
    case 3: return tile<V, W, R, 1, 3>(args);
    default:
      // With two rows the loads are what takes the time, and the hardware's own prefetching keeps up. One row asks
      // where its few chains leave time for it (group.h).
      if constexpr (R != 2)
        if (args.next) return tile<V, W, R, 1, 4, true>(args);
      return tile<V, W, R, 1, 4>(args);
  }
}

// R rows, more than a wide tile has: one strip of the panel, of two vectors, after the other.
template <class V, class W, int R>
LSTMFAST_ONCE void tall_tile_of(Index vectors, TileArgs<typename V::Scalar, W> args) {
  static_assert(TileCut<V>::strip == 2);
  constexpr bool asks_for_a_strip = 2 * V::lanes * sizeof(W) >= kPrefetched;  // else for two, which are the panel
  for (Index left = vectors; left > 0; left -= 2) {
    if (left == 1)
      tile<V, W, R, 1, 1>(args);
    else if (args.next)
      tile<V, W, R, 1, 2, true>(args);
    else
      tile<V, W, R, 1, 2>(args);
    if (args.next)
      args.next = asks_for_a_strip ? args.next + args.strip_stride * static_cast<Index>(sizeof(W)) : nullptr;
    args.panel += args.strip_stride;
    args.init += args.init_strip_stride;
    args.z_offset += 2 * V::lanes;
  }
}

// R rows times neighbouring panels, of which a tile takes three vectors, or two at the end. Strips of all of them must
// be equally far from each other.
template <class V, class W, int R>
LSTMFAST_ONCE void tiles_across(Index vectors, TileArgs<typename V::Scalar, W> args) {
  static_assert(TileCut<V>::strip == 2);
  for (int first = 0; vectors > 0;) {
    const int taken = vectors == 1 ? 1 : vectors == 2 || vectors == 4 ? 2 : 3;
    switch (2 * taken + first) {
      case 2: tile<V, W, R, 1, 1>(args); break;
      case 3: tile<V, W, R, 1, 1, false, 1>(args); break;
      case 4: tile<V, W, R, 1, 2>(args); break;
      case 5: tile<V, W, R, 1, 2, false, 1>(args); break;
      case 6: tile<V, W, R, 1, 3>(args); break;
      default: tile<V, W, R, 1, 3, false, 1>(args);
    }
    const int strips = (first + taken) / 2;
    args.panel += strips * args.strip_stride;
    args.init += strips * args.init_strip_stride;
    args.z_offset += taken * V::lanes;
    first = (first + taken) % 2;
    vectors -= taken;
  }
}

// Up to R rows times the first vectors of a panel.
template <class V, class W, int R>
LSTMFAST_INLINE void tile_of(Index rows, Index vectors, const TileArgs<typename V::Scalar, W>& args) {
  if constexpr (R > 1) {
    if (rows < R) return tile_of<V, W, R - 1>(rows, vectors, args);
  }
  if constexpr (R > TileCut<V>::wide_rows)
    tall_tile_of<V, W, R>(vectors, args);
  else
    wide_tile_of<V, W, R>(vectors, args);
}

}  // namespace
}  // namespace lstmfast
