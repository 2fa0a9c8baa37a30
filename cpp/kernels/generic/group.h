// A group: some rows times some panels, small enough that z stays in L1 until the cell has used it.
#pragma once

#include "kernels/generic/tile.h"

namespace lstmfast {
namespace {

// Rows cut into tiles of nearly equal size, so that no tile is left with one row: its few
// accumulators would leave the multiply-add units half idle.
template <class F>
LSTMFAST_INLINE void for_even_parts(Index count, Index at_most, F&& part) {
  const Index parts = (count + at_most - 1) / at_most;
  for (Index i = 0, begin = 0; i < parts; ++i) {
    const Index end = count * (i + 1) / parts;
    part(begin, end - begin);
    begin = end;
  }
}

// How a packing is cut. R: the ISA's row_tile.
template <class V, int R>
struct Group {
  static constexpr Index panel_width = kPanelVectors * V::lanes;
  static constexpr Index max_rows = 8 * R;
  // With few rows, several panels: the cells' long chains (exp, divide) overlap over 8 vectors or more.
  static constexpr Index max_panels = 8;
  // Terms of k whose part of a panel (16 KiB) stays in L1 while all rows of the group pass over it.
  static constexpr Index chunk = 16384 / (panel_width * static_cast<Index>(sizeof(typename V::Scalar)));
  static constexpr Index capacity = (max_rows > max_panels ? max_rows : max_panels) * panel_width;

  static constexpr Index panels_for(Index rows) { return rows >= max_panels ? 1 : max_panels / rows; }
};

// One factor of a group's product: rows a[rows][terms] times the same stretch of k in every panel.
template <class T>
struct Factor {
  const T* a;
  Index a_stride;
  Index terms;
  const T* panel;  // this factor's first k of the group's first panel
  Index panel_stride;
};

// Where the chains start: z itself, or one row of biases, or a constant row of zeros.
template <class T>
struct Start {
  const T* init;
  Index row_stride;
  Index panel_stride;
};

// z[rows][panels][vector][lane] = start + a * panels. Rows of z are `panels` panel widths apart.
// `last_vectors`: vectors in the group's last panel (kPanelVectors but for a packing's own last one).
template <class V, int R>
void group_product(Index rows, Index panels, Index last_vectors, Start<typename V::Scalar> start,
                   const Factor<typename V::Scalar>& factor, typename V::Scalar* z) {
  using T = typename V::Scalar;
  using G = Group<V, R>;
  const Index z_stride = panels * G::panel_width;
  const bool in_one_pass = rows <= R;
  for (Index p = 0; p < panels;) {
    const Index vectors = p == panels - 1 ? last_vectors : kPanelVectors;
    // One row has four accumulators a panel, too few to hide an fma's latency: take two panels.
    const bool pair = rows == 1 && (p + 2 < panels || (p + 2 == panels && last_vectors == kPanelVectors));
    const T* const panel = factor.panel + p * factor.panel_stride;
    Start<T> from = {start.init + p * start.panel_stride, start.row_stride, start.panel_stride};
    T* const z_panel = z + p * G::panel_width;
    Index k = 0;
    do {
      const Index left = factor.terms - k;
      const Index terms = in_one_pass || left < G::chunk ? left : G::chunk;
      TileArgs<T> args = {terms,
                          factor.a + k,
                          factor.a_stride,
                          panel + k * G::panel_width,
                          factor.panel_stride,
                          from.init,
                          from.row_stride,
                          from.panel_stride,
                          z_panel,
                          z_stride};
      if (pair) {
        tile<V, 1, 2, kPanelVectors, Rows::strided>(args);
      } else {
        for_even_parts(rows, R, [&](Index begin, Index count) {
          TileArgs<T> part = args;
          part.a += begin * factor.a_stride;
          part.init += begin * from.row_stride;
          part.z += begin * z_stride;
          tile_of<V, R>(count, vectors, part);
        });
      }
      from = {z_panel, z_stride, G::panel_width};
      k += terms;
    } while (k < factor.terms);
    p += pair ? 2 : 1;
  }
}

// Panels [begin, end) in groups, forwards or backwards: each(first panel, panels).
template <class F>
LSTMFAST_INLINE void for_panel_groups(Index begin, Index end, Index group, bool descending, F&& each) {
  const Index count = end - begin;
  const Index groups = (count + group - 1) / group;
  for (Index i = 0; i < groups; ++i) {
    const Index g = descending ? groups - 1 - i : i;
    const Index first = begin + g * group;
    each(first, first + group < end ? group : end - first);
  }
}

// Vectors in panel `panel` of a packing whose panels hold blocks of columns, not gates.
template <class V>
LSTMFAST_INLINE Index vectors_in_panel(Index columns, Index panel) {
  const Index blocks = (columns + V::lanes - 1) / V::lanes - panel * kPanelVectors;
  return blocks < kPanelVectors ? blocks : kPanelVectors;
}

// Vectors at tails: only the first n lanes exist in memory.
template <class V>
LSTMFAST_INLINE V load_lanes(const typename V::Scalar* p, Index n) {
  return n >= V::lanes ? V::load(p) : V::load_first(p, n);
}
template <class V>
LSTMFAST_INLINE void store_lanes(V v, typename V::Scalar* p, Index n) {
  if (n >= V::lanes)
    v.store(p);
  else
    v.store_first(p, n);
}

}  // namespace
}  // namespace lstmfast
