// What the time loop backwards of one layer and direction reads and writes.
#pragma once

#include "core/buffer.h"
#include "core/packing.h"
#include "core/row_plan.h"
#include "core/time.h"

namespace lstmfast {

// One direction of one layer: all that its backward pass reads and writes.
template <class T>
struct BackwardPass {
  TimeOrder order;
  Index input_size;
  Index rows;                 // B
  const bool* renewed;        // [T, B, S], of zoneout; null: what is expected
  Sequence<const T> x;        // [T, B, layer_input]
  Sequence<const T> h;        // [T, B, S], the layer's output
  const T* h0;                // [B, S]
  Sequence<const T> gates;    // [T, B, G*H] as forward keeps them; data null when the tape has none
  Sequence<const T> c;        // [T, B, H]
  const T* c0;                // [B, H]; null for cells without memory, as is c
  Sequence<const T> dy;       // [T, B, S]; data null is zero
  const T* dh_n;              // [B, S]; null is zero
  const T* dc_n;              // [B, H]; null is zero
  T* dh;                      // [B, S] gradient of the state before what has been done; dh0 in the end
  T* dc;                      // [B, H] likewise
  bool wants_state;           // dh0 and dc0
  StateView<T> cut_h, cut_c;  // [B, S] and [B, H], what pieces began from that began at a cut
  T* dcut_h;                  // [B, S] gradient of that; null is not wanted
  T* dcut_c;                  // [B, H] likewise
  Sequence<const T> dc_y;     // [T, B, H] gradient of c as an output; data null is zero
  Sequence<T> dx;             // [T, B, layer_input]; data null is not wanted
  bool add_to_dx;             // the other direction was here before
  const bool* masks;          // [T, B, layer_input] dropout of x, for dx when both directions are in it; null for none
  std::size_t index;          // of the pass
  const ForwardPacking<T>* forward;
  const BackwardPacking<T>* packing;
  const Variant<T>* variant;  // null for plain cells
  const T* peepholes;         // [peepholes_of(cell), H]; null without
  NormParameters<T> norm;     // of lstm_norm

  // h and c before time step t of a row.
  const T* h_before(Index t, Index row, Start start, Index state_size) const {
    return row_state_before(start, t, row, order.reverse, h0 + row * state_size, h, cut_h.at(row));
  }
  const T* c_before(Index t, Index row, Start start, Index hidden_size) const {
    return row_state_before(start, t, row, order.reverse, c0 + row * hidden_size, c, cut_c.at(row));
  }
};

// What the loop leaves for the products after it. Sequences count from the chunk's first step in the order of
// processing.
template <class T>
struct BackwardChunk {
  Range steps;
  Sequence<const T> gates;  // [chunk, B, G*H], made anew; data null unless
  Sequence<T> dz;           // [chunk, B, G*H]
  // With a second product alone:
  Sequence<T> dh;  // [chunk, B, S] gradient of h, of the step's own part in it; of a projection or zoneout
  T* passed;       // [B, S] gradient of h that goes past a step; of zoneout
  Sequence<T> m;   // [chunk, B, H] what it multiplied
  T* dm;           // [B, H] gradient of m, of one step
};

// Room for addresses of a share's rows.
template <class T>
struct BackwardLists {
  explicit BackwardLists(Index rows)
      : given(rows),
        going(rows),
        leaving(rows),
        dz_next(rows),
        dh(rows),
        dy(rows),
        gates(rows),
        h(rows),
        h_out(rows),
        c_out(rows),
        c(rows),
        dc(rows),
        dz(rows),
        m(rows),
        state(rows),
        carry(rows) {}

  Buffer<Index> given, going, leaving;  // batch rows
  Buffer<const T*> dz_next, dh, dy, gates, h, h_out, c_out, c;
  Buffer<T*> dc, dz, m, state, carry;
};

}  // namespace lstmfast
