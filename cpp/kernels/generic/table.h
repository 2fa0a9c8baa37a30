// The kernel table of an ISA, from its vector types and the rows of its tile.
#pragma once

#include "kernels/generic/backward.h"
#include "kernels/generic/fingerprint.h"
#include "kernels/generic/forward.h"
#include "kernels/generic/probes.h"
#include "lstmfast/kernel_table.h"

namespace lstmfast {
namespace {

template <class V>
void sigmoid_array(Index n, const typename V::Scalar* x, typename V::Scalar* y) {
  for (Index k = 0; k < n; k += V::lanes) store_lanes(sigmoid(load_lanes<V>(x + k, n - k)), y + k, n - k);
}

template <class V>
void tanh_array(Index n, const typename V::Scalar* x, typename V::Scalar* y) {
  for (Index k = 0; k < n; k += V::lanes) store_lanes(tanh(load_lanes<V>(x + k, n - k)), y + k, n - k);
}

// What the core and the cells both say of a cell.
template <class C>
constexpr bool agrees(Cell cell) {
  return C::gates == gates_of(cell) && C::memory == has_memory(cell) && C::reads_gates == reads_gates(cell);
}
static_assert(agrees<LstmCell>(Cell::lstm) && agrees<RnnTanhCell>(Cell::rnn_tanh) &&
              agrees<RnnReluCell>(Cell::rnn_relu));

template <class V, int R>
constexpr KernelTable<typename V::Scalar> make_table(const char* isa) {
  using T = typename V::Scalar;
  return {isa,
          Weights::native,
          1,
          V::lanes,
          R,
          {input_product<V, T, R, LstmCell>, input_product<V, T, R, RnnTanhCell>, input_product<V, T, R, RnnReluCell>},
          {forward_step<V, T, R, LstmCell>, forward_step<V, T, R, RnnTanhCell>, forward_step<V, T, R, RnnReluCell>},
          {backward_step<V, R, LstmCell>, backward_step<V, R, RnnTanhCell>, backward_step<V, R, RnnReluCell>},
          gate_product<V, T, R>,
          gradient_product<V, R>,
          sigmoid_array<V>,
          tanh_array<V>,
          fingerprint<typename V::Words>,
          multiply_adds<V>,
          loads<V>};
}

}  // namespace
}  // namespace lstmfast
