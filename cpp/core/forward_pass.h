// What the time loop of one layer and direction reads and writes, and how much work it is.
#pragma once

#include "core/packing.h"
#include "core/split.h"
#include "core/time.h"

namespace lstmfast {

// One direction of one layer: all that its time loop reads and writes.
template <class T>
struct Pass {
  TimeOrder order;
  Index begin;                // the time step of the call that this pass calls 0
  Index rows;                 // B
  bool descends;              // how the first step walks the panels; each other way round than the one before
  Sequence<const T> x;        // [T, B, layer_input]
  StateView<T> h0;            // [B, S]; may be h_n's memory
  Sequence<T> h;              // [T, B, S], the layer's output
  Sequence<T> c;              // [T, B, H]; in inference all steps are one [B, H]
  StateView<T> c0;            // [B, H]; may be c_n's memory
  StateView<T> cut_h, cut_c;  // [B, S] and [B, H], what pieces begin from that begin at a cut
  Sequence<T> gates;          // [T, B, G*H]; data null in inference
  T* h_n;                     // [B, S]
  T* c_n;                     // [B, H]; may be c's memory; null for cells without it
  T* m;                       // [parts of rows][rows, second_row], room for a second product's input; null without one
  Index m_part;               // between the parts

  const bool* renewed;  // [T, B, S], of training with zoneout; null for none

  T* m_of(const Share& share) const { return m + share.row_part * m_part; }
};

// Numbers of a row that a step of two stages has room for: what a second product is of, [H], and of gru_reset_before
// the sums of its gates, [3][H], where nobody keeps them; of lstm_norm its products, [8][H], likewise.
inline Index second_row(const NetworkShape& shape) {
  if (is_norm(shape.cell)) return kept_of(shape.cell) * shape.hidden_size;
  return shape.second_product() ? (resets_before(shape.cell) ? 4 : 1) * shape.hidden_size : 0;
}

// Of one weight.
template <class T>
constexpr Index weight_bytes(Weights weights) {
  if (weights == Weights::native) return sizeof(T);
  return weights == Weights::int8 ? 1 : 2;
}

// Of a forward pass through all layers; places: pairs of step and row.
template <class T>
LoopSize forward_size(const NetworkShape& shape, const KernelTable<T>& kernels, const PanelLayout& layout, Index places,
                      Index rows, Index steps) {
  // By the time they take: the products of int8 weights are so much faster.
  const Index terms = shape.step_terms(), step_terms = kernels.weights == Weights::int8 ? terms / 4 : terms;
  return {places * shape.num_layers,
          rows,
          shape.directions,
          layout.panels(),
          step_terms,
          terms * weight_bytes<T>(kernels.weights),
          kernels.row_tile,
          steps * shape.num_layers > 1 || second_row(shape) > 0};
}

}  // namespace lstmfast
