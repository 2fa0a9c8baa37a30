// The kernels of each cell.
#pragma once

#include "kernels/generic/gru.h"
#include "kernels/generic/int8.h"

namespace lstmfast {
namespace {

// W: weights as stored; R: the ISA's row_tile.
template <class V, class W, int R, class Cell>
struct CellKernels {
  using T = typename V::Scalar;
  static constexpr void (*input_product)(const InputProduct<T>&) = lstmfast::input_product<V, W, R, Cell>;
  static constexpr void (*forward_step)(const ForwardStep<T>&) = lstmfast::forward_step<V, W, R, Cell>;
};
template <class V, class W, int R>
struct CellKernels<V, W, R, GruCell> {
  using T = typename V::Scalar;
  static constexpr void (*input_product)(const InputProduct<T>&) = gru_input_product<V, W, R>;
  static constexpr void (*forward_step)(const ForwardStep<T>&) = gru_forward_step<V, W, R>;
};

// Q: how whole numbers are multiplied. A GRU's panels hold zeros in slots without weights.
template <class V, class Q, int R, class Cell>
struct Int8Kernels {
  static void input_product(const InputProduct<float>& s) { int8_input_product_with<V, Q, R>(s, kUnits<V, Cell>); }
  static void forward_step(const ForwardStep<float>& s) {
    int8_forward_step_with<V, Q, R>(s, kUnits<V, Cell>, forward_cell<V, Cell>);
  }
};
template <class V, class Q, int R>
struct Int8Kernels<V, Q, R, GruCell> {
  static void input_product(const InputProduct<float>& s) { int8_input_product_with<V, Q, R>(s, kUnits<V, GruCell>); }
  static void forward_step(const ForwardStep<float>& s) {
    int8_forward_step_with<V, Q, R>(s, kUnits<V, GruCell>, gru_cell<V>);
  }
};

template <class V, int R, class Cell>
struct BackwardKernel {
  static void step(const BackwardStep<typename V::Scalar>& s) { backward_step<V, R, Cell>(s); }
};
template <class V, int R>
struct BackwardKernel<V, R, GruCell> {
  static void step(const BackwardStep<typename V::Scalar>& s) {
    backward_step_with<V, R>(s, GruCell::gates, gru_backward_cell<V>);
  }
};

}  // namespace
}  // namespace lstmfast
