// Forward kernels: one step of a cell, and the input product of several steps at once.
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

  // Between the gates of a block of units.
  LSTMFAST_INLINE constexpr Index gates_apart(Index units, Index panel) const {
    return gates > 1 ? gate_distance(units - panel * per_panel, V::lanes) : V::lanes;
  }
  // That hold something.
  LSTMFAST_INLINE constexpr Index vectors(Index units, Index panel) const {
    return gates > 1 ? kPanelVectors * gates_apart(units, panel) / V::lanes : vectors_in_panel<V>(units, panel);
  }
};
template <class V, class Cell>
inline constexpr PanelUnits<V> kUnits = {Cell::gates, Cell::gates > 1 ? V::lanes : kPanelVectors * V::lanes};

// A forward packing: panels of a row of biases and [I + S][vector][lane] of weights as stored.
template <class V, class W>
struct ForwardPanels {
  using T = typename V::Scalar;
  static constexpr Index width = kPanelVectors * V::lanes;
  static constexpr Index biases_width = width * static_cast<Index>(sizeof(T) / sizeof(W));  // in weights

  const void* panels;
  Index input_size;
  Index hidden_size;
  Index state_size;
  PanelUnits<V> units;

  Index stride() const { return biases_width + (input_size + state_size) * width; }  // in weights
  Index biases_stride() const { return stride() / static_cast<Index>(sizeof(T) / sizeof(W)); }
  const W* weights(Index panel) const { return static_cast<const W*>(panels) + panel * stride() + biases_width; }
  const T* biases(Index panel) const { return static_cast<const T*>(panels) + panel * biases_stride(); }
  Index vectors(Index panel) const { return units.vectors(hidden_size, panel); }
};

// Answers that are known when a loop is compiled.
struct Yes {
  static constexpr bool value = true;
};
struct No {
  static constexpr bool value = false;
};

// Activates the gates of a group in place, then updates c and h. z: [rows][panels][vector][lane].
template <class V, class Cell>
void forward_cell(const ForwardStep<typename V::Scalar>& s, Index row, Index rows, Index panel, Index panels,
                  typename V::Scalar* z) {
  using T = typename V::Scalar;
  constexpr Index gates = Cell::gates;
  constexpr Index block_width = (gates > 1 ? kPanelVectors : 1) * V::lanes;
  constexpr PanelUnits<V> packed = kUnits<V, Cell>;
  const Index H = s.hidden_size;
  const Index first_unit = panel * packed.per_panel;
  const Index all_units = panels * packed.per_panel;
  const Index units = all_units < H - first_unit ? all_units : H - first_unit;
  const Index blocks = (units + V::lanes - 1) / V::lanes;
  const Index z_stride = panels * kPanelVectors * V::lanes;
  // Where the last block's gates lie before they are activated; from then on a vector apart as in all others. What is
  // loaded beyond its units, other gates or nothing at all, is activated in vain and never stored to the results.
  const Index last_apart = packed.gates_apart(H, panel + panels - 1);

  // Two passes: within each, neighbours are independent, so that their latencies overlap.
  for (Index r = 0; r < rows; ++r)
    for (Index b = 0; b < blocks; ++b) {
      T* const z_block = z + r * z_stride + b * block_width;
      const Index apart = b == blocks - 1 ? last_apart : V::lanes;
      V a[gates];
      for (Index g = 0; g < gates; ++g) a[g] = V::load(z_block + g * apart);
      Cell::activate(a);
      for (Index g = 0; g < gates; ++g) a[g].store(z_block + g * V::lanes);
    }
  const auto second_pass = [&](auto results, auto keeps) {
    for (Index r = 0; r < rows; ++r) {
      T* const gates_row = keeps.value ? s.gates[row + r] : nullptr;
      const T* const c_row = Cell::memory && results.value ? s.c[row + r] : nullptr;
      T* const c_out_row = Cell::memory && results.value ? s.c_out[row + r] : nullptr;
      T* const h_out_row = results.value ? s.h_out[row + r] : nullptr;
      for (Index b = 0; b < blocks; ++b) {
        const T* const z_block = z + r * z_stride + b * block_width;
        const Index unit = first_unit + b * V::lanes;
        const Index lanes = H - unit;
        V a[gates];
        for (Index g = 0; g < gates; ++g) a[g] = V::load(z_block + g * V::lanes);
        if constexpr (results.value) {
          V c = V::set1(0), c_out = c, h_out = c;
          if constexpr (Cell::memory) c = load_lanes<V>(c_row + unit, lanes);
          Cell::update(a, c, c_out, h_out);
          store_lanes(h_out, h_out_row + unit, lanes);
          if constexpr (Cell::memory) store_lanes(c_out, c_out_row + unit, lanes);
        }
        if constexpr (keeps.value)
          for (Index g = 0; g < gates; ++g) store_lanes(a[g], gates_row + g * H + unit, lanes);
      }
    }
  };
  if (!s.gates.there())
    second_pass(Yes{}, No{});
  else if (s.h_out.there())
    second_pass(Yes{}, Yes{});
  else
    second_pass(No{}, Yes{});
}

template <class T>
using ForwardCell = void (*)(const ForwardStep<T>&, Index row, Index rows, Index panel, Index panels, T* z);

template <class V, class W, int R>
LSTMFAST_ONCE void forward_step_with(const ForwardStep<typename V::Scalar>& s, const PanelUnits<V>& units,
                                     ForwardCell<typename V::Scalar> cell) {
  using T = typename V::Scalar;
  using G = Group<V, W, R>;
  using Panels = ForwardPanels<V, W>;
  const Panels packing = {s.panels, s.input_size, s.hidden_size, s.state_size, units};
  const Index stride = packing.stride();
  const bool prefetch = G::prefetches(s.panel_end - s.panel_begin, stride);
  const Index terms = (s.x.there() ? s.input_size : 0) + s.state_size;
  const Index panel_bytes = terms * Panels::width * static_cast<Index>(sizeof(W));
  const bool one_by_one = s.rows == 1 && G::one_by_one(s.panel_end - s.panel_begin, panel_bytes);
  alignas(64) T z[G::capacity];
  const T* x_scratch[G::max_rows];
  const T* h_scratch[G::max_rows];
  T* z_rows[G::max_rows];

  for_even_parts(s.rows, G::max_rows, [&](Index row, Index rows) {
    const T* const* const h_rows = addresses(s.h, row, rows, h_scratch);
    const T* const* const x_rows = s.x.there() ? addresses(s.x, row, rows, x_scratch) : h_rows;
    const auto step_group = [&](Index panel, Index panels, bool more) {
      const W* const weights = packing.weights(panel);
      list_scratch(z, panels * Panels::width, rows, z_rows);
      GroupProduct<T, W> product = {
          rows,
          panels,
          // One row takes several panels in a pass, which must be alike: all are stored whole.
          rows == 1 ? kPanelVectors : packing.vectors(panel + panels - 1),
          s.descending,
          prefetch && more,
          one_by_one,
          {{{x_rows, 0, s.input_size}, {h_rows, 0, s.state_size}},
           weights,
           stride,
           packing.biases(panel),
           0,
           packing.biases_stride(),
           z_rows,
           0,
           false,
           nullptr}};
      if (!s.x.there()) {
        product.tile.stretches[0] = {h_rows, 0, 0};
        product.tile.panel = weights + s.input_size * Panels::width;
        product.tile.init = s.z + row * s.z_stride + (panel - s.panel_begin) * Panels::width;
        product.tile.init_stride = s.z_stride;
        product.tile.init_panel_stride = Panels::width;
      }
      group_product<V, W, R>(product);
      cell(s, row, rows, panel, panels, z);
    };
    for_panel_groups(s.panel_begin, s.panel_end, G::panels_for(rows), s.descending, step_group);
  });
}

template <class V, class W, int R, class Cell>
void forward_step(const ForwardStep<typename V::Scalar>& s) {
  forward_step_with<V, W, R>(s, kUnits<V, Cell>, forward_cell<V, Cell>);
}

// Of rows of z, what their last panel does not fill.
template <class V>
LSTMFAST_INLINE void zero_vectors_past_end(typename V::Scalar* panel, Index z_stride, Index rows, Index last_vectors) {
  for (Index r = 0; r < rows; ++r)
    for (Index v = last_vectors; v < kPanelVectors; ++v) V::set1(0).store(panel + r * z_stride + v * V::lanes);
}

// The same chains up to the end of x, for the rows of many time steps at once. Panels outermost: the rows
// are few enough to stay in cache, the weights may not be.
template <class V, class W, int R>
LSTMFAST_ONCE void input_product_with(const InputProduct<typename V::Scalar>& s, const PanelUnits<V>& units) {
  using T = typename V::Scalar;
  using G = Group<V, W, R>;
  using Panels = ForwardPanels<V, W>;
  const Panels packing = {s.panels, s.input_size, s.hidden_size, s.state_size, units};
  const Index stride = packing.stride();
  const bool prefetch = G::prefetches(s.panel_end - s.panel_begin, stride);
  const Index z_stride = (s.panel_end - s.panel_begin) * Panels::width;
  if (s.rows == 0) return;
  const T* x_scratch[G::max_rows];
  T* z_rows[G::max_rows];

  const auto product_of_group = [&](Index panel, Index panels, bool more) {
    const Index last = panel + panels - 1;
    const Index last_vectors = packing.vectors(last);
    for_even_parts(s.rows, G::max_rows, [&](Index row, Index rows) {
      const T* const* const x_rows = addresses(s.x, row, rows, x_scratch);
      list_scratch(s.z + row * z_stride, z_stride, rows, z_rows);
      GroupProduct<T, W> product = {rows,
                                    panels,
                                    last_vectors,
                                    false,
                                    prefetch && more,
                                    false,
                                    {{{x_rows, 0, s.input_size}, {x_rows, 0, 0}},
                                     packing.weights(panel),
                                     stride,
                                     packing.biases(panel),
                                     0,
                                     packing.biases_stride(),
                                     z_rows,
                                     (panel - s.panel_begin) * Panels::width,
                                     false,
                                     nullptr}};
      group_product<V, W, R>(product);
      zero_vectors_past_end<V>(s.z + row * z_stride + (last - s.panel_begin) * Panels::width, z_stride, rows,
                               last_vectors);
    });
  };
  for_panel_groups(s.panel_begin, s.panel_end, G::panels_for(s.rows), false, product_of_group);
}

template <class V, class W, int R, class Cell>
void input_product(const InputProduct<typename V::Scalar>& s) {
  input_product_with<V, W, R>(s, kUnits<V, Cell>);
}

}  // namespace
}  // namespace lstmfast
