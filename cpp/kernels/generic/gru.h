// The GRU: kernels of its own, for its candidate has two sums, of x and of h, and a gate stands between them.
//
// A unit has four slots in z and in dz, [n, r, z, q]: n what x alone makes of the candidate, r and z the gates, q what
// h makes of the candidate. x has weights for the first three, h for the last three, so both products take three
// vectors of a panel. Kept of a step are n after tanh, r and z after sigmoid, and q as it is:
//   n = tanh(n + r q),  h' = n + z (h - n)
#pragma once

#include "kernels/generic/backward.h"
#include "kernels/generic/forward.h"

namespace lstmfast {
namespace {

template <int N>
struct Count {
  static constexpr int value = N;
};

// Both gates, for activate().
struct GruGates {
  static constexpr Curve curve(int) { return Curve::sigmoid; }
};

// Rows of a tile of three vectors, and of one of two: those could be more, but each size is compiled.
template <class V, int R>
inline constexpr int kRowsOfSlots = (R > TileCut<V>::wide_rows ? 2 * R : kPanelVectors * R) / 3;

// Up to R rows times N vectors of a panel, from First on.
template <class V, class W, int R, int First, int N>
LSTMFAST_INLINE void tile_of_slots(Index rows, const TileArgs<typename V::Scalar, W>& args) {
  if constexpr (R > 1) {
    if (rows < R) return tile_of_slots<V, W, R - 1, First, N>(rows, args);
  }
  tile<V, W, R, 1, N, false, First>(args);
}

// z[rows][panels][N slots from First on][lane] = init + rows times panels. args: of the first row and panel.
template <class V, class W, int R, int First, int N = 3>
LSTMFAST_ONCE void some_slots(Index rows, Index panels, TileArgs<typename V::Scalar, W> args) {
  const auto tiles = [&](Index together, auto&& each) __attribute__((always_inline)) {
    const Index z_offset = args.z_offset;
    args.z_offset += First * V::lanes;
    each();
    args.z_offset = z_offset + together * kPanelVectors * V::lanes;
    args.panel += together * args.panel_stride;
    args.init += together * args.init_panel_stride;
  };
  for (Index p = 0; p < panels;) {
    const Index left = panels - p;
    // Rows so few that one panel's sums would not keep the units busy take several.
    const Index together = rows == 1 && left >= 3 ? 3 : rows <= 2 && left >= 2 ? 2 : 1;
    tiles(together, [&]() __attribute__((always_inline)) {
      if (together == 3) return tile<V, W, 1, 3, N, false, First>(args);
      if (together == 2)
        return rows == 1 ? tile<V, W, 1, 2, N, false, First>(args) : tile<V, W, 2, 2, N, false, First>(args);
      TileArgs<typename V::Scalar, W> part = args;
      for_even_parts(rows, kRowsOfSlots<V, R>, [&](Index, Index here) {
        tile_of_slots<V, W, kRowsOfSlots<V, R>, First, N>(here, part);
        for (auto& stretch : part.stretches) stretch.rows += here;
        part.init += here * part.init_stride;
        part.z_rows += here;
      });
    });
    p += together;
  }
}

// Where a slot is in a panel's row of biases, of which each strip has its own.
template <class V>
LSTMFAST_INLINE Index bias_of_slot(int slot, Index strip_stride) {
  return slot / TileCut<V>::strip * strip_stride + slot % TileCut<V>::strip * V::lanes;
}

// From z to h, of a group. z: [rows][panels][slot][lane].
template <class V>
void gru_cell(const ForwardStep<typename V::Scalar>& s, Index row, Index rows, Index panel, Index panels,
              typename V::Scalar* z) {
  using T = typename V::Scalar;
  constexpr Index width = kPanelVectors * V::lanes;
  constexpr int side_by_side = 4;
  const Index blocks = rows * panels;
  for (Index k = 0; k < blocks; ++k) {
    T* const block = z + k * width;
    activate<V, GruGates, 2>(block + V::lanes);
    const V r = V::load(block + V::lanes), q = V::load(block + 3 * V::lanes);
    fma(r, q, V::load(block)).store(block);
  }
  const auto candidates = [&](T* block, auto count) __attribute__((always_inline)) {
    constexpr int K = decltype(count)::value;
    V a[K], x[K];
    ExpParts<V> e[K];
    LSTMFAST_UNROLL for (int k = 0; k < K; ++k) {
      a[k] = V::load(block + k * width);
      x[k] = tanh_argument(a[k]);
    }
    exp_parts(x, e);
    LSTMFAST_UNROLL for (int k = 0; k < K; ++k) tanh_of(a[k], e[k]).store(block + k * width);
  };
  Index k = 0;
  for (; k + side_by_side <= blocks; k += side_by_side) candidates(z + k * width, Count<side_by_side>());
  for (; k < blocks; ++k) candidates(z + k * width, Count<1>());
  for (Index r = 0; r < rows; ++r)
    for (Index p = 0; p < panels; ++p) {
      const T* const block = z + (r * panels + p) * width;
      const Index unit = (panel + p) * V::lanes, lanes = s.hidden_size - unit;
      if (s.h_out.there()) {
        const V n = V::load(block), h = load_lanes<V>(s.h[row + r] + unit, lanes);
        store_lanes(fma(V::load(block + 2 * V::lanes), h - n, n), s.h_out[row + r] + unit, lanes);
      }
      if (s.gates.there())
        LSTMFAST_UNROLL for (int slot = 0; slot < GruCell::slots; ++slot)
            store_lanes(V::load(block + slot * V::lanes), s.gates[row + r] + slot * s.hidden_size + unit, lanes);
    }
}

// What x makes of z, from the biases on, in panels from one on. z_rows: as TileArgs have them.
template <class V, class W>
LSTMFAST_INLINE TileArgs<typename V::Scalar, W> tiles_of_x(const ForwardPanels<V, W>& packing, Index panel,
                                                           const typename V::Scalar* const* x_rows,
                                                           typename V::Scalar* const* z_rows, Index z_offset) {
  using Panels = ForwardPanels<V, W>;
  return {{{x_rows, 0, packing.input_size}, {x_rows, 0, 0}},
          packing.weights(panel),
          packing.stride(),
          packing.strip_stride(),
          packing.biases(panel),
          0,
          packing.stride() / Panels::of_biases,
          packing.strip_stride() / Panels::of_biases,
          z_rows,
          z_offset,
          false,
          nullptr};
}

// OfH: how many slots h has a part in, from FirstOfH on.
template <class V, class W, int R, int FirstOfH, int OfH>
LSTMFAST_ONCE void gru_forward_step_with(const ForwardStep<typename V::Scalar>& s,
                                         ForwardCell<typename V::Scalar> cell) {
  using T = typename V::Scalar;
  using G = Group<V, W, R>;
  using Panels = ForwardPanels<V, W>;
  const Panels packing = {s.panels, s.input_size, s.hidden_size, s.state_size, kUnits<V, GruCell>};
  const Index bias_strip = packing.strip_stride() / Panels::of_biases;
  alignas(64) T z[G::capacity];
  const T* x_scratch[G::max_rows];
  const T* h_scratch[G::max_rows];
  T* z_rows[G::max_rows];

  for_even_parts(s.rows, G::max_rows, [&](Index row, Index rows) {
    const T* const* const h_rows = addresses(s.h, row, rows, h_scratch);
    const T* const* const x_rows = s.x.there() ? addresses(s.x, row, rows, x_scratch) : h_rows;
    const auto step_group = [&](Index panel, Index panels, bool) {
      const T* const biases = packing.biases(panel);
      const Index z_row = panels * Panels::width;
      list_scratch(z, z_row, rows, z_rows);
      TileArgs<T, W> args = tiles_of_x<V, W>(packing, panel, x_rows, z_rows, 0);
      if (s.x.there()) some_slots<V, W, R, 0>(rows, panels, args);
      for (Index r = 0; r < rows; ++r)
        for (Index p = 0; p < panels; ++p) {
          T* const block = z_rows[r] + p * Panels::width;
          if (!s.x.there()) {
            const T* const from = s.z + (row + r) * s.z_stride + (panel - s.panel_begin + p) * Panels::width;
            LSTMFAST_UNROLL for (int slot = 0; slot < 3; ++slot) V::load(from + slot * V::lanes)
                .store(block + slot * V::lanes);
          }
          if constexpr (FirstOfH + OfH > 3)
            V::load(biases + p * args.init_panel_stride + bias_of_slot<V>(3, bias_strip)).store(block + 3 * V::lanes);
        }
      args.stretches[0] = {h_rows, 0, s.state_size};
      args.stretches[1] = {h_rows, 0, 0};
      args.panel += s.input_size * Panels::strip_width;
      args.init = z;
      args.init_stride = z_row;
      args.init_panel_stride = Panels::width;
      args.init_strip_stride = Panels::strip_width;
      some_slots<V, W, R, FirstOfH, OfH>(rows, panels, args);
      cell(s, row, rows, panel, panels, z);
    };
    for_panel_groups(s.panel_begin, s.panel_end, G::panels_for(rows), s.descending, step_group);
  });
}

template <class V, class W, int R>
LSTMFAST_ONCE void gru_input_product(const InputProduct<typename V::Scalar>& s) {
  using T = typename V::Scalar;
  using G = Group<V, W, R>;
  using Panels = ForwardPanels<V, W>;
  const Panels packing = {s.panels, s.input_size, s.hidden_size, s.state_size, kUnits<V, GruCell>};
  const Index z_stride = (s.panel_end - s.panel_begin) * Panels::width;
  if (s.rows == 0) return;
  const T* x_scratch[G::max_rows];
  T* z_rows[G::max_rows];
  const auto product_of_group = [&](Index panel, Index panels, bool) {
    for_even_parts(s.rows, G::max_rows, [&](Index row, Index rows) {
      const T* const* const x_rows = addresses(s.x, row, rows, x_scratch);
      list_scratch(s.z + row * z_stride, z_stride, rows, z_rows);
      const Index offset = (panel - s.panel_begin) * Panels::width;
      some_slots<V, W, R, 0>(rows, panels, tiles_of_x<V, W>(packing, panel, x_rows, z_rows, offset));
      for (Index r = 0; r < rows; ++r)
        for (Index p = 0; p < panels; ++p) V::set1(0).store(z_rows[r] + offset + p * Panels::width + 3 * V::lanes);
    });
  };
  for_panel_groups(s.panel_begin, s.panel_end, G::panels_for(s.rows), false, product_of_group);
}

// dz of a block of units by slot, and what goes straight on to the state before.
template <class V>
struct GruSlots {
  V n, r, z, q, carry;
};

// Blocks of units of a group's rows: each(row of s, unit, lanes, dh, h before the step) gives GruSlots, which are
// stored. arriving: [rows][panels][vector][lane], of dz of the next step; null: all is in s.dh.
template <class V, class Each>
LSTMFAST_INLINE void for_gru_backward_blocks(const BackwardStep<typename V::Scalar>& s, Index row, Index rows,
                                             Index first_unit, Index blocks, const typename V::Scalar* arriving,
                                             Index arriving_stride, Each&& each) {
  using T = typename V::Scalar;
  const Index H = s.hidden_size;
  for (Index r = 0; r < rows; ++r) {
    const Index at = row + r;
    const T* const dh_row = arriving ? s.carry[at] : s.dh[at];
    const T* const dy_row = s.dy.there() ? s.dy[at] : nullptr;
    for (Index b = 0; b < blocks; ++b) {
      const Index unit = first_unit + b * V::lanes, lanes = H - unit;
      V from_next = load_lanes<V>(dh_row + unit, lanes);
      if (arriving) from_next = V::load(arriving + r * arriving_stride + b * V::lanes) + from_next;
      const V dh = (dy_row ? load_lanes<V>(dy_row + unit, lanes) : V::set1(0)) + from_next;
      const GruSlots<V> d = each(at, unit, lanes, dh, load_lanes<V>(s.h[at] + unit, lanes));
      const auto to = [&](int slot, V v) { store_lanes(v, s.dz[at] + slot * H + unit, lanes); };
      to(GruCell::n, d.n);
      to(GruCell::r, d.r);
      to(GruCell::z, d.z);
      to(GruCell::q, d.q);
      store_lanes(d.carry, s.carry[at] + unit, lanes);
    }
  }
}

template <class V>
void gru_backward_cell(const BackwardStep<typename V::Scalar>& s, Index row, Index rows, Index first_unit, Index blocks,
                       const typename V::Scalar* arriving, Index arriving_stride) {
  const V one = V::set1(1);
  for_gru_backward_blocks<V>(
      s, row, rows, first_unit, blocks, arriving, arriving_stride,
      [&](Index at, Index unit, Index lanes, V dh, V h) __attribute__((always_inline)) {
        const auto kept = [&](int slot) { return load_lanes<V>(s.gates[at] + slot * s.hidden_size + unit, lanes); };
        const V n = kept(GruCell::n), gate = kept(GruCell::z), reset = kept(GruCell::r), q = kept(GruCell::q);
        const V dn = dh * (one - gate) * (one - n * n);
        return GruSlots<V>{dn, dn * q * (reset * (one - reset)), dh * (h - n) * (gate * (one - gate)), dn * reset,
                           dh * gate};
      });
}

}  // namespace
}  // namespace lstmfast
