// The kernel tables of an ISA for weights smaller than float, which are for inference alone.
#pragma once

#include "kernels/generic/cell_kernels.h"
#include "kernels/generic/weights.h"
#include "lstmfast/kernel_table.h"

namespace lstmfast {
namespace {

constexpr Weights kind_of(Float16) { return Weights::float16; }
constexpr Weights kind_of(BFloat16) { return Weights::bfloat16; }

// What a table says of itself; its functions are yet to be set.
template <class V>
constexpr KernelTable<float> blank_table(const char* isa, Weights weights, Index together, Index strip, Index row_tile,
                                         Index busy_rows) {
  KernelTable<float> table = {};
  table.isa = isa;
  table.weights = weights;
  table.together = together;
  table.lanes = V::lanes;
  table.strip = strip;
  table.row_tile = row_tile;
  table.busy_rows = busy_rows;
  return table;
}

// Arithmetic in float, weights of W widened as they are read: the chains, and so the bits, of float weights.
template <class V, class W, int R, class... C>
constexpr KernelTable<float> make_half_table(const char* isa, CellList<C...>) {
  KernelTable<float> table = blank_table<V>(isa, kind_of(W()), 1, TileCut<V>::strip, R, busy_rows<V, R>());
  int cell = 0;
  ((table.input_product[cell] = CellKernels<V, W, R, C>::input_product,
    table.forward_step[cell++] = CellKernels<V, W, R, C>::forward_step),
   ...);
  table.gate_product = gate_product<V, W, R>;
  table.candidate_step = candidate_step<V>;
  return table;
}

template <class V, class Q, int R, class... C>
constexpr KernelTable<float> make_int8_table(const char* isa, CellList<C...>) {
  KernelTable<float> table = blank_table<V>(isa, Weights::int8, Q::together, kPanelVectors, R, R);
  int cell = 0;
  ((table.input_product[cell] = Int8Kernels<V, Q, R, C>::input_product,
    table.forward_step[cell++] = Int8Kernels<V, Q, R, C>::forward_step),
   ...);
  table.gate_product = int8_gate_product<V, Q, R>;
  table.candidate_step = candidate_step<V>;
  return table;
}

template <class V, class W, int R>
constexpr KernelTable<float> make_half_table(const char* isa) {
  return make_half_table<V, W, R>(isa, AllCells());
}

template <class V, class Q, int R>
constexpr KernelTable<float> make_int8_table(const char* isa) {
  return make_int8_table<V, Q, R>(isa, AllCells());
}

}  // namespace
}  // namespace lstmfast
