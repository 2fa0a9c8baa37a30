// Forward kernels: one step of a cell, and the input product of several steps at once.
#pragma once

#include "kernels/generic/forward_cell.h"
#include "kernels/generic/group.h"

namespace lstmfast {
namespace {

// A forward packing: panels of strips, each a row of biases and [I + S][vector][lane] of weights as stored.
template <class V, class W>
struct ForwardPanels {
  using T = typename V::Scalar;
  static constexpr Index width = kPanelVectors * V::lanes, strip_width = TileCut<V>::strip * V::lanes;
  static constexpr Index of_biases = static_cast<Index>(sizeof(T) / sizeof(W));  // weights in the room of one

  const void* panels;
  Index input_size;
  Index hidden_size;
  Index state_size;
  PanelUnits<V> units;

  Index strip_stride() const { return (of_biases + input_size + state_size) * strip_width; }  // in weights
  Index stride() const { return kStrips<V> * strip_stride(); }
  const W* weights(Index panel) const {
    return static_cast<const W*>(panels) + panel * stride() + of_biases * strip_width;
  }
  const T* biases(Index panel) const {
    return reinterpret_cast<const T*>(static_cast<const W*>(panels) + panel * stride());
  }
  Index vectors(Index panel) const { return units.vectors(hidden_size, panel); }
};

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
  const bool prefetch = G::prefetches(s.panel_end - s.panel_begin, stride, s.ask_from);
  const Index terms = (s.x.there() ? s.input_size : 0) + s.state_size;
  const Index panel_bytes = terms * Panels::width * static_cast<Index>(sizeof(W));
  const bool one_by_one = s.rows == 1 && G::one_by_one(s.panel_end - s.panel_begin, panel_bytes);
  alignas(64) T z[G::capacity];
  const T* x_scratch[G::max_rows];
  const T* h_scratch[G::max_rows];
  T* z_rows[G::max_rows];

  RowCut<V, R>::for_groups(s.rows, [&](Index row, Index rows) {
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
           packing.strip_stride(),
           packing.biases(panel),
           0,
           stride / Panels::of_biases,
           packing.strip_stride() / Panels::of_biases,
           z_rows,
           0,
           false,
           nullptr}};
      if (!s.x.there()) {
        product.tile.stretches[0] = {h_rows, 0, 0};
        product.tile.panel = weights + s.input_size * Panels::strip_width;
        product.tile.init = s.z + row * s.z_stride + (panel - s.panel_begin) * Panels::width;
        product.tile.init_stride = s.z_stride;
        product.tile.init_panel_stride = Panels::width;
        product.tile.init_strip_stride = Panels::strip_width;
      }
      group_product<V, W, R>(product);
      cell(s, row, rows, panel, panels, z);
    };
    for_panel_groups(s.panel_begin, s.panel_end, G::panels_of_product(rows), s.descending, step_group);
  });
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
  const bool prefetch = G::prefetches(s.panel_end - s.panel_begin, stride, s.ask_from);
  const Index z_stride = (s.panel_end - s.panel_begin) * Panels::width;
  if (s.rows == 0) return;
  const T* x_scratch[G::max_rows];
  T* z_rows[G::max_rows];

  const auto product_of_group = [&](Index panel, Index panels, bool more) {
    const Index last = panel + panels - 1;
    const Index last_vectors = packing.vectors(last);
    RowCut<V, R>::for_groups(s.rows, [&](Index row, Index rows) {
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
                                     packing.strip_stride(),
                                     packing.biases(panel),
                                     0,
                                     stride / Panels::of_biases,
                                     packing.strip_stride() / Panels::of_biases,
                                     z_rows,
                                     (panel - s.panel_begin) * Panels::width,
                                     false,
                                     nullptr}};
      group_product<V, W, R>(product);
      zero_vectors_past_end<V>(s.z + row * z_stride + (last - s.panel_begin) * Panels::width, z_stride, rows,
                               last_vectors);
    });
  };
  for_panel_groups(s.panel_begin, s.panel_end, G::panels_of_product(s.rows), false, product_of_group);
}

}  // namespace
}  // namespace lstmfast
