// Backward kernels: one step of a cell, dz W for dx and dh, and the weight gradients' product.
#pragma once

#include "kernels/generic/cells.h"
#include "kernels/generic/group.h"

namespace lstmfast {
namespace {

// A row of zeros, as wide as a panel, for chains that start from nothing.
template <class V>
struct Zeros {
  alignas(64) static constexpr typename V::Scalar row[kPanelVectors * V::lanes] = {};
};

// total[rows][panels][vector][lane] = dz W for a backward packing: [panel][strip][gate][k][vector][lane].
// One chain for each gate, then i + f + g + o: with few outputs the gates' chains keep the units busy.
// dz_rows: [rows], each [gate][k].
template <class V, class W, int R>
LSTMFAST_ONCE void gates_product(Index rows, Index panels, Index last_vectors, Index gates, Index terms,
                                 const typename V::Scalar* const* dz_rows, const W* panel, bool descending,
                                 bool prefetch, typename V::Scalar* total) {
  using T = typename V::Scalar;
  using G = Group<V, W, R>;
  const Index gate_size = terms * G::panel_width / kStrips<V>;  // in a strip
  T* total_rows[G::max_rows];
  list_scratch(total, panels * G::panel_width, rows, total_rows);
  GroupProduct<T, W> product = {rows,
                                panels,
                                last_vectors,
                                descending,
                                prefetch,
                                false,
                                {{{dz_rows, 0, terms}, {dz_rows, 0, 0}},
                                 panel,
                                 kStrips<V> * gates * gate_size,
                                 gates * gate_size,
                                 Zeros<V>::row,
                                 0,
                                 0,
                                 0,
                                 total_rows,
                                 0,
                                 false,
                                 nullptr}};
  group_product<V, W, R>(product);
  product.tile.add = true;
  for (Index g = 1; g < gates; ++g) {
    product.tile.stretches[0].offset += terms;
    product.tile.panel += gate_size;
    group_product<V, W, R>(product);
  }
}

// Blocks of units of a group's rows, with dh = dy + what arrives: each(row of s, unit, lanes, dh). arriving:
// [rows][panels][vector][lane]; null: take it from s.dh.
template <class V, class Each>
LSTMFAST_INLINE void for_backward_blocks(const BackwardStep<typename V::Scalar>& s, Index row, Index rows,
                                         Index first_unit, Index blocks, const typename V::Scalar* arriving,
                                         Index arriving_stride, Each&& each) {
  using T = typename V::Scalar;
  for (Index r = 0; r < rows; ++r) {
    const Index at = row + r;
    const T* const dh_row = arriving ? nullptr : s.dh[at];
    const T* const dy_row = s.dy.there() ? s.dy[at] : nullptr;
    for (Index b = 0; b < blocks; ++b) {
      const Index unit = first_unit + b * V::lanes, lanes = s.hidden_size - unit;
      const V from_next =
          arriving ? V::load(arriving + r * arriving_stride + b * V::lanes) : load_lanes<V>(dh_row + unit, lanes);
      each(at, unit, lanes, (dy_row ? load_lanes<V>(dy_row + unit, lanes) : V::set1(0)) + from_next);
    }
  }
}

// dz and dc of a group, from dh = dy + what arrives. arriving: [rows][panels][vector][lane]; null: take it from s.dh.
template <class V, class Cell>
void backward_cell(const BackwardStep<typename V::Scalar>& s, Index row, Index rows, Index first_unit, Index blocks,
                   const typename V::Scalar* arriving, Index arriving_stride) {
  using T = typename V::Scalar;
  constexpr Index gates = Cell::gates;
  const Index H = s.hidden_size;
  for (Index r = 0; r < rows; ++r) {
    const Index at = row + r;
    const T* const dh_row = arriving ? nullptr : s.dh[at];
    const T* const dy_row = s.dy.there() ? s.dy[at] : nullptr;
    const T* const gates_row = Cell::reads_gates ? s.gates[at] : nullptr;
    const T* const h_out_row = Cell::memory ? nullptr : s.h_out[at];
    const T* const c_out_row = Cell::memory ? s.c_out[at] : nullptr;
    const T* const c_row = Cell::memory ? s.c[at] : nullptr;
    T* const dc_row = Cell::memory ? s.dc[at] : nullptr;
    T* const dz_row = s.dz[at];
    T* const m_row = s.m.there() ? s.m[at] : nullptr;
    for (Index b = 0; b < blocks; ++b) {
      const Index unit = first_unit + b * V::lanes;
      const Index lanes = H - unit;
      const V from_next =
          arriving ? V::load(arriving + r * arriving_stride + b * V::lanes) : load_lanes<V>(dh_row + unit, lanes);
      const V dy = dy_row ? load_lanes<V>(dy_row + unit, lanes) : V::set1(0);
      V a[gates], dz[gates];
      for (Index g = 0; g < gates; ++g)
        a[g] = Cell::reads_gates ? load_lanes<V>(gates_row + g * H + unit, lanes) : V::set1(0);
      V h_out = V::set1(0), c_out = h_out, c = h_out, dc = h_out, m = h_out;
      if constexpr (Cell::memory) {
        c_out = load_lanes<V>(c_out_row + unit, lanes);
        c = load_lanes<V>(c_row + unit, lanes);
        dc = load_lanes<V>(dc_row + unit, lanes);
      } else {
        h_out = load_lanes<V>(h_out_row + unit, lanes);
      }
      Cell::backward(a, h_out, c_out, c, dy + from_next, dc, dz, m);
      if constexpr (Cell::memory) store_lanes(dc, dc_row + unit, lanes);
      if (m_row) store_lanes(m, m_row + unit, lanes);
      for (Index g = 0; g < gates; ++g) store_lanes(dz[g], dz_row + g * H + unit, lanes);
    }
  }
}

template <class T>
using BackwardCell = void (*)(const BackwardStep<T>&, Index row, Index rows, Index first_unit, Index blocks,
                              const T* arriving, Index arriving_stride);

template <class V, int R>
LSTMFAST_ONCE void backward_step_with(const BackwardStep<typename V::Scalar>& s, Index gates,
                                      BackwardCell<typename V::Scalar> cell) {
  using T = typename V::Scalar;
  using G = Group<V, T, R>;
  const Index H = s.hidden_size;
  const Index stride = gates * H * G::panel_width;
  const bool prefetch = G::prefetches(s.panel_end - s.panel_begin, stride, s.ask_from);
  alignas(64) T total[G::capacity];
  const T* dz_scratch[G::max_rows];
  const bool product = s.dz_next.there();

  RowCut<V, R>::for_groups(s.rows, [&](Index row, Index rows) {
    const T* const* const dz_rows = product ? addresses(s.dz_next, row, rows, dz_scratch) : nullptr;
    const auto step_group = [&](Index panel, Index panels, bool more) {
      const Index last_vectors = vectors_in_panel<V>(H, panel + panels - 1);
      const Index blocks = (panels - 1) * kPanelVectors + last_vectors;
      if (product)
        gates_product<V, T, R>(rows, panels, last_vectors, gates, H, dz_rows, s.panels + panel * stride, s.descending,
                               prefetch && more, total);
      cell(s, row, rows, panel * G::panel_width, blocks, product ? total : nullptr, panels * G::panel_width);
    };
    for_panel_groups(s.panel_begin, s.panel_end, G::panels_of_product(rows), s.descending, step_group);
  });
}

// A group's products, total [rows][panels][vector][lane], to the columns that there are.
template <class V>
void store_products(const GateProduct<typename V::Scalar>& s, Index rows, Index panel, Index panels, Index last_vectors,
                    const typename V::Scalar* total, typename V::Scalar* const* out_rows) {
  using T = typename V::Scalar;
  const Index blocks = (panels - 1) * kPanelVectors + last_vectors;
  for (Index r = 0; r < rows; ++r)
    for (Index b = 0; b < blocks; ++b) {
      const Index column = (panel * kPanelVectors + b) * V::lanes;
      const Index lanes = s.columns - column;
      T* const out = out_rows[r] + column;
      const V sum = V::load(total + (r * panels * kPanelVectors + b) * V::lanes);
      store_lanes(s.accumulate ? load_lanes<V>(out, lanes) + sum : sum, out, lanes);
    }
}

template <class V, class W, int R>
void gate_product(const GateProduct<typename V::Scalar>& s) {
  using T = typename V::Scalar;
  using G = Group<V, W, R>;
  const W* const weights = static_cast<const W*>(s.panels);
  const Index stride = s.gates * s.terms * G::panel_width;
  const bool prefetch = G::prefetches(s.panel_end - s.panel_begin, stride, s.ask_from);
  if (s.rows == 0) return;
  alignas(64) T total[G::capacity];
  const T* dz_scratch[G::max_rows];
  T* out_scratch[G::max_rows];

  const auto product_of_group = [&](Index panel, Index panels, bool more) {
    const Index last_vectors = vectors_in_panel<V>(s.columns, panel + panels - 1);
    RowCut<V, R>::for_groups(s.rows, [&](Index row, Index rows) {
      const T* const* const dz_rows = addresses(s.dz, row, rows, dz_scratch);
      T* const* const out_rows = addresses(s.out, row, rows, out_scratch);
      gates_product<V, W, R>(rows, panels, last_vectors, s.gates, s.terms, dz_rows, weights + panel * stride, false,
                             prefetch && more, total);
      store_products<V>(s, rows, panel, panels, last_vectors, total, out_rows);
    });
  };
  for_panel_groups(s.panel_begin, s.panel_end, G::panels_of_product(s.rows), false, product_of_group);
}

// Where a tile of dW finds its rows' factors of term k: in the caller's rows of dz, or copied to lie side by side.
template <class T>
struct ListedFactors {
  const T* const* dz;
  Index row;
  LSTMFAST_INLINE const T* operator()(Index k) const { return dz[k] + row; }
};
template <class T, int R>
struct CopiedFactors {
  const T* copy;  // [terms][R]
  LSTMFAST_INLINE const T* operator()(Index k) const { return copy + k * R; }
};

// R rows of dW times N vectors of columns: a chain from zero, then added to dw, which is asked for meanwhile.
template <class V, int R, int N, class Factors>
LSTMFAST_TILE void gradient_tile(Index terms, Factors factors, const typename V::Scalar* inputs,
                                 typename V::Scalar* dw) {
  using T = typename V::Scalar;
  constexpr Index width = kPanelVectors * V::lanes;
  V acc[R][N];
  LSTMFAST_UNROLL for (int r = 0; r < R; ++r) LSTMFAST_UNROLL for (int n = 0; n < N; ++n) acc[r][n] = V::set1(0);
  const char* next = reinterpret_cast<const char*>(dw);
  for_terms<TileCut<V>::unrolled>(terms, [&](Index k) __attribute__((always_inline)) {
    __builtin_prefetch(next, 0, 2);
    next += kPrefetched;
    const T* const a = factors(k);
    add_term<V, R, N>(
        acc, [&](int r) __attribute__((always_inline)) { return V::set1(a[r]); },
        [&](int n) __attribute__((always_inline)) { return V::load(inputs + n * V::lanes); });
    inputs += width;
  });
  LSTMFAST_UNROLL for (int r = 0; r < R; ++r) LSTMFAST_UNROLL for (int n = 0; n < N; ++n) {
    T* const to = dw + r * width + n * V::lanes;
    (V::load(to) + acc[r][n]).store(to);
  }
}

// Up to R rows of dW times the first vectors of a panel.
template <class V, int R, class Factors>
LSTMFAST_INLINE void gradient_tile_of(Index terms, Factors factors, Index rows, Index vectors,
                                      const typename V::Scalar* inputs, typename V::Scalar* dw) {
  if constexpr (R > 1) {
    if (rows < R) return gradient_tile_of<V, R - 1>(terms, factors, rows, vectors, inputs, dw);
  }
  if constexpr (R > TileCut<V>::wide_rows) {
    for (Index left = vectors; left > 0; left -= 2, inputs += 2 * V::lanes, dw += 2 * V::lanes)
      left == 1 ? gradient_tile<V, R, 1>(terms, factors, inputs, dw)
                : gradient_tile<V, R, 2>(terms, factors, inputs, dw);
  } else {
    switch (vectors) {
      case 1: return gradient_tile<V, R, 1>(terms, factors, inputs, dw);
      case 2: return gradient_tile<V, R, 2>(terms, factors, inputs, dw);
      case 3: return gradient_tile<V, R, 3>(terms, factors, inputs, dw);
      default: return gradient_tile<V, R, 4>(terms, factors, inputs, dw);
    }
  }
}

// Tiles [first, first + tiles) of rows of dW times all panels.
template <class V, int R, class FactorsOf>
LSTMFAST_INLINE void gradient_tiles(const GradientProduct<typename V::Scalar>& s, Index first, Index tiles,
                                    FactorsOf&& factors_of) {
  constexpr Index width = kPanelVectors * V::lanes;
  const Index panels = (s.columns + width - 1) / width, all_tiles = (s.rows + R - 1) / R;
  for (Index panel = 0; panel < panels; ++panel)
    for (Index t = 0; t < tiles; ++t) {
      const Index left = s.rows - (first + t) * R;
      gradient_tile_of<V, R>(s.terms, factors_of(t), left < R ? left : R, vectors_in_panel<V>(s.columns, panel),
                             s.inputs + panel * s.packed_terms * width,
                             s.dw + (panel * all_tiles + first + t) * R * width);
    }
}

// The same with dz copied for some tiles at a time: eight of them and a panel are in L1 together.
template <class V, int R>
LSTMFAST_ONCE void gradient_of_copies(const GradientProduct<typename V::Scalar>& s) {
  using T = typename V::Scalar;
  constexpr Index together = 8;
  const Index tiles = (s.rows + R - 1) / R;
  alignas(64) T copies[together][kGradientTerms * R];
  for (Index first = 0; first < tiles; first += together) {
    const Index here = tiles - first < together ? tiles - first : together;
    for (Index k = 0; k < s.terms; ++k)
      for (Index t = 0; t < here; ++t) {
        const Index row = (first + t) * R, left = s.rows - row;
        const T* const from = s.dz[k] + row;
        T* const to = copies[t] + k * R;
        if (left >= R) {
          LSTMFAST_UNROLL for (int r = 0; r < R; ++r) to[r] = from[r];
        } else {
          for (Index r = 0; r < left; ++r) to[r] = from[r];
        }
      }
    gradient_tiles<V, R>(s, first, here, [&](Index t) { return CopiedFactors<T, R>{copies[t]}; });
  }
}

template <class V>
void element_product(const ElementProduct<typename V::Scalar>& s) {
  for (Index n = s.begin; n < s.end; n += V::lanes) {
    const Index lanes = s.end - n;
    V sum = load_lanes<V>(s.sum + n, lanes);
    for (Index k = 0; k < s.terms; ++k)
      sum = fma(load_lanes<V>(s.a[k] + s.a_first + n, lanes), load_lanes<V>(s.b[k] + s.b_first + n, lanes), sum);
    store_lanes(sum, s.sum + n, lanes);
  }
}

template <class V, int R>
void gradient_product(const GradientProduct<typename V::Scalar>& s) {
  using T = typename V::Scalar;
  constexpr Index width = kPanelVectors * V::lanes, copied = TileCut<V>::copied_panels;
  const auto plain = [&] {
    gradient_tiles<V, R>(s, 0, (s.rows + R - 1) / R, [&](Index t) { return ListedFactors<T>{s.dz, t * R}; });
  };
  if constexpr (copied > 0)
    s.columns > (copied - 1) * width ? gradient_of_copies<V, R>(s) : plain();
  else
    plain();
  for (Index row = 0; row < s.rows; row += V::lanes) {
    V sum = V::set1(0);
    for (Index k = 0; k < s.terms; ++k) sum = sum + load_lanes<V>(s.dz[k] + row, s.rows - row);
    store_lanes(load_lanes<V>(s.db + row, s.rows - row) + sum, s.db + row, s.rows - row);
  }
}

}  // namespace
}  // namespace lstmfast
