// Cells: what happens between the matrix products. A new cell is one more struct here, and one more name in AllCells.
//
//   gates      vectors of z per block of units
//   memory     whether there is a c beside h
//   reads_gates  whether backward reads the activated gates
//   curve      of gate k, what activates it
//   remember   with memory: gates and c to the new c
//   output     gates, and with memory tanh of the new c, to the new h
//   backward   gradients of h and c to gradients of z and of the former c, derivatives from outputs; and m, the h that
//              output gave, which a projection has taken for another
//
// `a` is the activated gates, a[k], wherever they are.
#pragma once

#include "kernels/generic/math.h"
#include "lstmfast/kernel_table.h"

namespace lstmfast {
namespace {

// What activates a gate.
enum class Curve { sigmoid, tanh, ramp };

struct LstmCell {
  static constexpr int gates = 4;
  static constexpr bool memory = true;
  static constexpr bool reads_gates = true;
  enum { i, f, g, o };

  static constexpr Curve curve(int k) { return k == g ? Curve::tanh : Curve::sigmoid; }

  template <class V, class Gates>
  static LSTMFAST_INLINE V remember(const Gates& a, V c) {
    return fma(a[f], c, a[i] * a[g]);
  }
  template <class V, class Gates>
  static LSTMFAST_INLINE V output(const Gates& a, V tanh_c) {
    return a[o] * tanh_c;
  }

  template <class V>
  static LSTMFAST_INLINE void backward(const V (&a)[gates], V /*h_out*/, V c_out, V c, V dh, V& dc, V (&dz)[gates],
                                       V& m) {
    const V one = V::set1(1);
    const V tanh_c = tanh(c_out);
    const V dc_out = fma(dh * a[o], one - tanh_c * tanh_c, dc);
    dz[i] = dc_out * a[g] * (a[i] * (one - a[i]));
    dz[f] = dc_out * c * (a[f] * (one - a[f]));
    dz[g] = dc_out * a[i] * (one - a[g] * a[g]);
    dz[o] = dh * tanh_c * (a[o] * (one - a[o]));
    dc = dc_out * a[f];
    m = a[o] * tanh_c;
  }
};

// The only gate of an RNN is h.
struct RnnCell {
  static constexpr int gates = 1;
  static constexpr bool memory = false;
  static constexpr bool reads_gates = false;

  template <class V, class Gates>
  static LSTMFAST_INLINE V output(const Gates& a, V) {
    return a[0];
  }
};

struct RnnTanhCell : RnnCell {
  static constexpr Curve curve(int) { return Curve::tanh; }

  template <class V>
  static LSTMFAST_INLINE void backward(const V (&)[gates], V h_out, V, V, V dh, V&, V (&dz)[gates], V&) {
    dz[0] = dh * (V::set1(1) - h_out * h_out);
  }
};

struct RnnReluCell : RnnCell {
  static constexpr Curve curve(int) { return Curve::ramp; }

  template <class V>
  static LSTMFAST_INLINE void backward(const V (&)[gates], V h_out, V, V, V dh, V&, V (&dz)[gates], V&) {
    dz[0] = zero_where_not_positive(h_out, dh);  // a NaN is not, and lets the gradient pass
  }
};

// With kernels of its own (gru.h).
struct GruCell {
  static constexpr int gates = 3;
  static constexpr int slots = 4;
  static constexpr bool memory = false;
  static constexpr bool reads_gates = true;
  enum { n, r, z, q };
};

// Variants, with what is between the products in variants.h. What backward reads of them is z.
template <bool Coupled>
struct LstmVariant {
  static constexpr int gates = Coupled ? 3 : 4;
  static constexpr bool memory = true;
  static constexpr bool reads_gates = true;
};
using LstmVariantCell = LstmVariant<false>;
using LstmCoupledCell = LstmVariant<true>;
struct RnnVariantCell : RnnCell {
  static constexpr bool reads_gates = true;
};
struct GruVariantCell : GruCell {};
// Slots [r, z, n] of sums; reset_before.h.
struct GruResetBeforeCell {
  static constexpr int gates = 3;
  static constexpr bool memory = false;
  static constexpr bool reads_gates = true;
  enum { r, z, n };
};

// In two stages, products and whole rows; norm.h.
struct LstmNormCell {
  static constexpr int gates = 4;
  static constexpr bool memory = true;
  static constexpr bool reads_gates = true;
  enum { i, f, g, o };
};

// All cells, in the order of Cell: a table has a kernel for each.
template <class... C>
struct CellList {};
using AllCells = CellList<LstmCell, RnnTanhCell, RnnReluCell, GruCell, LstmVariantCell, LstmCoupledCell, RnnVariantCell,
                          GruVariantCell, GruResetBeforeCell, LstmNormCell>;

// The core says the same of each. A panel has a vector for each gate of a block of units.
template <class C>
constexpr bool agrees(Cell cell) {
  return C::gates == gates_of(cell) && C::gates <= kPanelVectors && C::memory == has_memory(cell) &&
         C::reads_gates == reads_gates(cell);
}
template <class... C>
constexpr bool are_all(CellList<C...>) {
  int cell = 0;
  return sizeof...(C) == kCells && (agrees<C>(static_cast<Cell>(cell++)) && ...);
}
static_assert(are_all(AllCells()));

}  // namespace
}  // namespace lstmfast
