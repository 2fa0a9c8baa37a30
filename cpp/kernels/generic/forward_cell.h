// From z to h and c: what a forward step does between two matrix products.
//
// Each value is a chain of some 20 operations with a division at its end, far more than a CPU looks ahead past. So
// values go through exp() side by side: the gates of a block, and then tanh(c) of several rows.
#pragma once

#include "kernels/generic/cells.h"
#include "kernels/generic/group.h"

namespace lstmfast {
namespace {

// Where the units of a packing with a cell's gates are, and how much of its panels they fill.
template <class V>
struct PanelUnits {
  Index gates;
  Index per_panel;
  bool close = true;  // whether the gates of a last panel that is not full move together

  // Between the gates of a block of units.
  LSTMFAST_INLINE constexpr Index gates_apart(Index units, Index panel) const {
    return gates > 1 && close ? gate_distance(units - panel * per_panel, V::lanes) : V::lanes;
  }
  // That hold something.
  LSTMFAST_INLINE constexpr Index vectors(Index units, Index panel) const {
    return gates > 1 ? kPanelVectors * gates_apart(units, panel) / V::lanes : vectors_in_panel<V>(units, panel);
  }
};
template <class V, class Cell>
inline constexpr PanelUnits<V> kUnits = {Cell::gates, Cell::gates > 1 ? V::lanes : kPanelVectors * V::lanes};
template <class V>
inline constexpr PanelUnits<V> kUnits<V, GruCell> = {GruCell::slots, V::lanes, false};
template <class V>
inline constexpr PanelUnits<V> kUnits<V, GruVariantCell> = kUnits<V, GruCell>;
template <class V>
inline constexpr PanelUnits<V> kUnits<V, GruResetBeforeCell> = {GruResetBeforeCell::gates, V::lanes, false};
template <class V>
inline constexpr PanelUnits<V> kUnits<V, LstmNormCell> = {LstmNormCell::gates, V::lanes, false};

// K vectors, a vector apart, to activated gates, in place. What is loaded is loaded once more rather than kept:
// registers are what is short.
template <class V, class Cell, int K>
LSTMFAST_INLINE void activate(typename V::Scalar* z) {
  V x[K];
  ExpParts<V> e[K];
  LSTMFAST_UNROLL for (int k = 0; k < K; ++k) {
    const V from = V::load(z + k * V::lanes);
    x[k] = Cell::curve(k) == Curve::tanh ? tanh_argument(from) : sigmoid_argument(from);
  }
  exp_parts(x, e);
  LSTMFAST_UNROLL for (int k = 0; k < K; ++k) {
    const V from = V::load(z + k * V::lanes);
    const V to = Cell::curve(k) == Curve::tanh      ? tanh_of(from, e[k])
                 : Cell::curve(k) == Curve::sigmoid ? sigmoid_of(from, e[k])
                                                    : at_least(from, V::set1(0));
    to.store(z + k * V::lanes);
  }
}

// The activated gates of a block of units, read where they are used.
template <class V>
struct GatesAt {
  const typename V::Scalar* z;  // [gate][lane]

  LSTMFAST_INLINE V operator[](int gate) const { return V::load(z + gate * V::lanes); }
};

// A group's z and the units that it is of.
template <class V, class Cell>
struct CellGroup {
  using T = typename V::Scalar;
  static constexpr Index block_width = (Cell::gates > 1 ? kPanelVectors : 1) * V::lanes;
  static constexpr PanelUnits<V> packed = kUnits<V, Cell>;

  const ForwardStep<T>& step;
  Index row, rows;  // of the step's, the group's
  Index first_unit;
  Index blocks;  // of units
  Index panels;
  T* z;            // [rows][panels][vector][lane]
  Index z_stride;  // between rows

  static LSTMFAST_INLINE CellGroup of(const ForwardStep<T>& s, Index row, Index rows, Index panel, Index panels, T* z) {
    const Index first_unit = panel * packed.per_panel;
    return {s,
            row,
            rows,
            first_unit,
            blocks_in(panels, s.hidden_size - first_unit),
            panels,
            z,
            panels * kPanelVectors * V::lanes};
  }
  // left: units from the first one on.
  static LSTMFAST_INLINE Index blocks_in(Index panels, Index left) {
    const Index room = panels * packed.per_panel;
    return ((room < left ? room : left) + V::lanes - 1) / V::lanes;
  }
  LSTMFAST_INLINE T* block(Index r, Index b) const { return z + r * z_stride + b * block_width; }
  LSTMFAST_INLINE Index unit(Index b) const { return first_unit + b * V::lanes; }
  // How many lanes of a block are units; or more.
  LSTMFAST_INLINE Index lanes(Index b) const { return step.hidden_size - unit(b); }

  // The last block's gates may lie closer together: from now on they are a vector apart as in all others.
  LSTMFAST_INLINE void spread_last_block() const {
    const Index apart = packed.gates_apart(step.hidden_size, first_unit / packed.per_panel + panels - 1);
    if (apart == V::lanes) return;
    for (Index r = 0; r < rows; ++r) {
      T* const z_block = block(r, blocks - 1);
      V a[Cell::gates];
      LSTMFAST_UNROLL for (int g = 0; g < Cell::gates; ++g) a[g] = V::load(z_block + g * apart);
      LSTMFAST_UNROLL for (int g = 0; g < Cell::gates; ++g) a[g].store(z_block + g * V::lanes);
    }
  }

  // What is beyond the last block's units, other gates or nothing at all, is activated in vain and never stored to the
  // results.
  LSTMFAST_INLINE void activate_all() const {
    if constexpr (Cell::gates > 1) {
      spread_last_block();
      T* z_block = z;
      for (Index k = rows * panels; k > 0; --k, z_block += block_width) activate<V, Cell, Cell::gates>(z_block);
    } else {
      for (Index r = 0; r < rows; ++r) {
        Index b = 0;
        for (; b + kPanelVectors <= blocks; b += kPanelVectors) activate<V, Cell, kPanelVectors>(block(r, b));
        for (; b < blocks; ++b) activate<V, Cell, 1>(block(r, b));
      }
    }
  }

  // c and h of block b of K rows.
  template <int K>
  LSTMFAST_INLINE void update(Index r, Index b) const {
    const Index first = unit(b), count = lanes(b);
    V tanh_c[K] = {};  // not read without memory
    if constexpr (Cell::memory) {
      V c[K], x[K];
      ExpParts<V> e[K];
      LSTMFAST_UNROLL for (int k = 0; k < K; ++k) c[k] =
          Cell::remember(GatesAt<V>{block(r + k, b)}, load_lanes<V>(step.c[row + r + k] + first, count));
      LSTMFAST_UNROLL for (int k = 0; k < K; ++k) {
        store_lanes(c[k], step.c_out[row + r + k] + first, count);
        x[k] = tanh_argument(c[k]);
      }
      exp_parts(x, e);
      LSTMFAST_UNROLL for (int k = 0; k < K; ++k) tanh_c[k] = tanh_of(c[k], e[k]);
    }
    LSTMFAST_UNROLL for (int k = 0; k < K; ++k)
        store_lanes(Cell::output(GatesAt<V>{block(r + k, b)}, tanh_c[k]), step.h_out[row + r + k] + first, count);
  }

  // Rows side by side where there are four. Fewer take one block after the other: neighbours' chains overlap as well,
  // and blocks of one row side by side were slower.
  LSTMFAST_INLINE void update_all() const {
    if (!Cell::memory || rows < 4) {
      for (Index r = 0; r < rows; ++r)
        for (Index b = 0; b < blocks; ++b) update<1>(r, b);
      return;
    }
    for (Index b = 0; b < blocks; ++b) {
      Index r = 0;
      for (; r + 4 <= rows; r += 4) update<4>(r, b);
      for (; r < rows; ++r) update<1>(r, b);
    }
  }

  // The gates, as they are in z, to the tape.
  LSTMFAST_INLINE void keep_gates() const {
    constexpr int slots = packed.gates;
    for (Index r = 0; r < rows; ++r) {
      T* const gates_row = step.gates[row + r];
      for (Index b = 0; b < blocks; ++b)
        LSTMFAST_UNROLL for (int g = 0; g < slots; ++g)
            store_lanes(GatesAt<V>{block(r, b)}[g], gates_row + g * step.hidden_size + unit(b), lanes(b));
    }
  }
};

// Activates the gates of a group in place, then updates c and h. z: [rows][panels][vector][lane].
template <class V, class Cell>
void forward_cell(const ForwardStep<typename V::Scalar>& s, Index row, Index rows, Index panel, Index panels,
                  typename V::Scalar* z) {
  using Group = CellGroup<V, Cell>;
  const Group group = Group::of(s, row, rows, panel, panels, z);
  group.activate_all();
  if (s.h_out.there()) group.update_all();
  if (s.gates.there()) group.keep_gates();
}

}  // namespace
}  // namespace lstmfast
