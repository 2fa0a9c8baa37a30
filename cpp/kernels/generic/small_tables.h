// The kernel tables of an ISA for weights smaller than float, which are for inference alone.
#pragma once

#include "kernels/generic/backward.h"
#include "kernels/generic/int8.h"
#include "kernels/generic/weights.h"
#include "lstmfast/kernel_table.h"

namespace lstmfast {
namespace {

constexpr Weights kind_of(Float16) { return Weights::float16; }
constexpr Weights kind_of(BFloat16) { return Weights::bfloat16; }

// What a table says of itself; its functions are yet to be set.
template <class V>
constexpr KernelTable<float> blank_table(const char* isa, Weights weights, Index together, Index row_tile) {
  KernelTable<float> table = {};
  table.isa = isa;
  table.weights = weights;
  table.together = together;
  table.lanes = V::lanes;
  table.row_tile = row_tile;
  return table;
}

// Arithmetic in float, weights of W widened as they are read: the chains, and so the bits, of float weights.
template <class V, class W, int R>
constexpr KernelTable<float> make_half_table(const char* isa) {
  KernelTable<float> table = blank_table<V>(isa, kind_of(W()), 1, R);
  table.input_product[0] = input_product<V, W, R, LstmCell>;
  table.input_product[1] = input_product<V, W, R, RnnTanhCell>;
  table.input_product[2] = input_product<V, W, R, RnnReluCell>;
  table.forward_step[0] = forward_step<V, W, R, LstmCell>;
  table.forward_step[1] = forward_step<V, W, R, RnnTanhCell>;
  table.forward_step[2] = forward_step<V, W, R, RnnReluCell>;
  table.gate_product = gate_product<V, W, R>;
  return table;
}

template <class V, class Q, int R>
constexpr KernelTable<float> make_int8_table(const char* isa) {
  KernelTable<float> table = blank_table<V>(isa, Weights::int8, Q::together, R);
  table.input_product[0] = int8_input_product<V, Q, R, LstmCell>;
  table.input_product[1] = int8_input_product<V, Q, R, RnnTanhCell>;
  table.input_product[2] = int8_input_product<V, Q, R, RnnReluCell>;
  table.forward_step[0] = int8_forward_step<V, Q, R, LstmCell>;
  table.forward_step[1] = int8_forward_step<V, Q, R, RnnTanhCell>;
  table.forward_step[2] = int8_forward_step<V, Q, R, RnnReluCell>;
  table.gate_product = int8_gate_product<V, Q, R>;
  return table;
}

}  // namespace
}  // namespace lstmfast
