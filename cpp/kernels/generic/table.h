// The kernel table of an ISA, from its vector types and the rows of its tile.
#pragma once

#include "kernels/generic/cell_kernels.h"
#include "kernels/generic/fingerprint.h"
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

template <class V, int R, class... C>
constexpr KernelTable<typename V::Scalar> make_table(const char* isa, CellList<C...>) {
  using T = typename V::Scalar;
  return {isa,
          Weights::native,
          1,
          V::lanes,
          TileCut<V>::strip,
          R,
          busy_rows<V, R>(),
          {CellKernels<V, T, R, C>::input_product...},
          {CellKernels<V, T, R, C>::forward_step...},
          {BackwardKernel<V, R, C>::step...},
          gate_product<V, T, R>,
          gradient_product<V, R>,
          candidate_step<V>,
          candidate_backward<V>,
          norm_step<V>,
          norm_backward_row<V>,
          element_product<V>,
          sigmoid_array<V>,
          tanh_array<V>,
          fingerprint<typename V::Words>,
          multiply_adds<V>,
          loads<V>};
}

template <class V, int R>
constexpr KernelTable<typename V::Scalar> make_table(const char* isa) {
  return make_table<V, R>(isa, AllCells());
}

}  // namespace
}  // namespace lstmfast
