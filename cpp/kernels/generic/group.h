// A group: some rows times some panels, small enough that z stays in L1 until the cell has used it.
#pragma once

#include "kernels/generic/tile.h"

namespace lstmfast {
namespace {

// Rows cut into tiles of nearly equal size, so that no tile is left with one row: its few
// accumulators would leave the multiply-add units half idle.
template <class F>
LSTMFAST_INLINE void for_even_parts(Index count, Index at_most, F&& part) {
  Index least = count, larger = 0;
  if (count > at_most) {  // else without a division: a short step would notice
    const Index parts = (count + at_most - 1) / at_most;
    least = count / parts;
    larger = count % parts;
  }
  for (Index begin = 0; begin < count; --larger) {
    const Index size = larger > 0 ? least + 1 : least;
    part(begin, size);
    begin += size;
  }
}

// How rows are cut into tiles of up to R rows.
template <class V, int R>
struct RowCut {
  static constexpr Index across_rows = TileCut<V>::across_rows;
  static_assert(across_rows == 0 || (across_rows == 4 && R == 6), "the numbers below");

  // Tiles of `across_rows`, with which the rest is of R rows but for one tile of three; or of less where there are
  // few.
  static constexpr Index tiles_across(Index rows) {
    if constexpr (across_rows == 0) return 0;
    constexpr signed char by_rest[] = {0, 1, 2, 0, 1, 2};
    return rows < 7 ? rows == 4 : by_rest[rows % 6];
  }
  // The tiles of that rest, or of all where none goes across: part(first, rows).
  template <class F>
  static LSTMFAST_INLINE void for_rest(Index rows, F&& part) {
    if (across_rows == 0 || rows % R % 3 != 0) return for_even_parts(rows, R, part);
    for (Index begin = 0; begin < rows; begin += R) part(begin, rows - begin < R ? rows - begin : R);
  }
  // Groups of up to 8 R rows, the last of several never of one, two or five, which no tiles fit.
  template <class F>
  static LSTMFAST_INLINE void for_groups(Index rows, F&& part) {
    if constexpr (across_rows == 0) return for_even_parts(rows, 8 * R, part);
    for (Index begin = 0; begin < rows;) {
      const Index left = rows - begin, beyond = left - 8 * R;
      const Index size = beyond <= 0 ? left : beyond == 1 || beyond == 2 || beyond == 5 ? 7 * R : 8 * R;
      part(begin, size);
      begin += size;
    }
  }
};

// How a packing is cut. W: its weights as stored; R: the ISA's row_tile.
template <class V, class W, int R>
struct Group {
  static constexpr Index panel_width = kPanelVectors * V::lanes;
  static constexpr Index max_rows = 8 * R;
  // With few rows, several panels: the cells' long chains (exp, divide) overlap over 8 vectors or more.
  static constexpr Index max_panels = 8;
  static constexpr Index capacity = (max_rows > max_panels ? max_rows : max_panels) * panel_width;

  // Up to so many terms three panels fit in L1 (40 KiB of them, in 48; in 32 they nearly do).
  static constexpr Index terms_of_three = 40 * 1024 / (3 * panel_width * static_cast<Index>(sizeof(W)));

  // Whether one row takes a packing's panels one by one: those that fit in L1 singly (48 KiB), but not in pairs. What
  // was read last, and is read first in the next step, is then still there, and each panel asks for a part of the next
  // one. Only with vectors so long that one panel's four chains keep up with L2, and few panels. At I = H = 64, 8 % of
  // a step.
  static constexpr bool one_by_one(Index panels, Index panel_bytes) {
    return sizeof(V) == 64 && panels <= 4 && panel_bytes > 24 * 1024 && panel_bytes <= 40 * 1024;
  }

  // Whether panels are asked for ahead of use (lstmfast/heuristics.h).
  static constexpr bool prefetches(Index panels, Index panel_stride, Index ask_from) {
    return panels * panel_stride * static_cast<Index>(sizeof(W)) >= ask_from;
  }
  static constexpr Index panels_for(Index rows) {
    return rows == 1 ? max_panels : rows >= max_panels ? 1 : max_panels / rows;
  }
  // The same where tiles may go across panels: then three at a time, which are four tiles, or as many as z has room
  // for.
  static constexpr Index panels_of_product(Index rows) {
    if (rows > max_rows || !RowCut<V, R>::tiles_across(rows)) return panels_for(rows);
    const Index fit = max_rows / rows;
    return fit < 3 ? fit : 3;
  }
};

// The addresses of rows [first, first + count), in `scratch` where they are not listed already.
template <class T>
LSTMFAST_INLINE T* const* addresses(const Rows<T>& rows, Index first, Index count, T** scratch) {
  if (rows.listed) return rows.listed + first;
  for (Index r = 0; r < count; ++r) scratch[r] = rows.data + (first + r) * rows.stride;
  return scratch;
}

template <class T>
LSTMFAST_INLINE T* const* addresses(const Places<T>& places, Index first, Index count, T** scratch) {
  if (places.listed) return places.listed + first;
  Index step = first / places.rows_per_step, row = first % places.rows_per_step;
  for (Index r = 0; r < count; ++r) {
    scratch[r] = places.steps.at(step, row);
    if (++row == places.rows_per_step) {
      row = 0;
      ++step;
    }
  }
  return scratch;
}

// z[rows][panels][vector][lane] = init + the stretches' rows times the panels.
template <class T, class W>
struct GroupProduct {
  Index rows;
  Index panels;
  Index last_vectors;   // in the group's last panel: kPanelVectors but for a packing's own last one
  bool descending;      // walk the panels from the last to the first
  bool prefetch;        // ask for each panel's follower in that order, which must exist
  bool one_by_one;      // one row takes each panel alone, and asks for a part of its follower, if there is one
  TileArgs<T, W> tile;  // of the first row and panel. It becomes each tile's in turn: a copy of what was just written
                        // costs a step of a small layer a few percent. Afterwards it is what it was.
};

// The addresses of rows of scratch that lie one after the other.
template <class T>
LSTMFAST_INLINE void list_scratch(T* scratch, Index row_size, Index rows, T** to) {
  for (Index r = 0; r < rows; ++r) to[r] = scratch + r * row_size;
}

template <class V, class W, int R>
LSTMFAST_ONCE void group_product(GroupProduct<typename V::Scalar, W>& s) {
  using T = typename V::Scalar;
  using G = Group<V, W, R>;
  constexpr Index width = G::panel_width;
  TileArgs<T, W>& args = s.tile;
  const W* const panel = args.panel;
  const T* const init = args.init;
  const Index z_offset = args.z_offset;
  const Index terms = args.stretches[0].terms + args.stretches[1].terms;
  const Index bytes = terms * width * static_cast<Index>(sizeof(W));  // of a panel
  // Weights from far away are read in whole lines, and asked for: so by tiles of two vectors.
  const bool few_from_afar = s.prefetch && s.rows <= 2 * RowCut<V, R>::across_rows;
  const Index across = few_from_afar ? 0 : RowCut<V, R>::tiles_across(s.rows);
  const Index rest = s.rows - across * RowCut<V, R>::across_rows;
  const auto next_rows = [&](Index rows) {
    for (Stretch<T>& stretch : args.stretches) stretch.rows += rows;
    args.init += rows * args.init_stride;
    args.z_rows += rows;
  };
  for (Index done = 0; rest > 0 && done < s.panels;) {
    // One row has four accumulators a panel, too few to hide an fma's latency: take two panels, or the last
    // three where they are in L1 (from L2 fewer streams are faster).
    const Index left = s.panels - done;
    const Index together = s.rows > 1 || s.one_by_one                ? 1
                           : left == 3 && terms <= G::terms_of_three ? 3
                           : left > 1                                ? 2
                                                                     : 1;
    const bool last_is_among = s.descending ? done == 0 : together == left;
    const Index count = last_is_among && s.last_vectors < kPanelVectors ? 1 : together;
    const Index p = s.descending ? left - count : done;
    done += count;
    args.panel = panel + p * args.panel_stride;
    args.init = init + p * args.init_panel_stride;
    args.z_offset = z_offset + p * width;
    args.next = nullptr;
    if (count > 1) {
      count == 2 ? tile<V, W, 1, 2, kPanelVectors>(args) : tile<V, W, 1, 3, kPanelVectors>(args);
      continue;
    }
    const Index vectors = p == s.panels - 1 ? s.last_vectors : kPanelVectors;
    // Of the follower, each tile asks for as many lines as it has terms, until all have been asked for.
    const bool ahead = s.prefetch || (s.one_by_one && done < s.panels);
    const char* const follower =
        ahead ? reinterpret_cast<const char*>(args.panel + (s.descending ? -args.panel_stride : args.panel_stride))
              : nullptr;
    Index asked = 0;
    RowCut<V, R>::for_rest(rest, [&](Index, Index rows) {
      args.next = ahead && asked < bytes ? follower + asked : nullptr;
      asked += terms * kPrefetched * passes_of<V>(rows);
      tile_of<V, W, R>(rows, vectors, args);
      next_rows(rows);
    });
    next_rows(-rest);
  }
  args.panel = panel;
  args.init = init;
  args.z_offset = z_offset;
  if constexpr (RowCut<V, R>::across_rows > 0)
    if (across > 0) {
      args.next = nullptr;
      next_rows(rest);
      for (Index k = 0; k < across; ++k) {
        tiles_across<V, W, RowCut<V, R>::across_rows>((s.panels - 1) * kPanelVectors + s.last_vectors, args);
        next_rows(RowCut<V, R>::across_rows);
      }
      next_rows(-s.rows);
    }
}

// Panels [begin, end) in groups, forwards or backwards: each(first panel, panels, whether more follow).
template <class F>
LSTMFAST_INLINE void for_panel_groups(Index begin, Index end, Index group, bool descending, F&& each) {
  const Index count = end - begin;
  const Index groups = count > group ? (count + group - 1) / group : count > 0;  // likewise
  for (Index i = 0; i < groups; ++i) {
    const Index g = descending ? groups - 1 - i : i;
    const Index first = begin + g * group;
    each(first, first + group < end ? group : end - first, i + 1 < groups);
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
