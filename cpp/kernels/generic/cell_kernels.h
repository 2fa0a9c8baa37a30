// The kernels of each cell.
#pragma once

#include "kernels/generic/gru.h"
#include "kernels/generic/int8.h"
#include "kernels/generic/norm.h"
#include "kernels/generic/reset_before.h"
#include "kernels/generic/variants.h"

namespace lstmfast {
namespace {

// What is between a step's products, forward and backward.
template <class V, class Cell>
struct Between {
  static constexpr auto forward = forward_cell<V, Cell>;
  static constexpr auto backward = backward_cell<V, Cell>;
};
template <class V>
struct Between<V, GruCell> {
  static constexpr auto forward = gru_cell<V>;
  static constexpr auto backward = gru_backward_cell<V>;
};
template <class V>
struct Between<V, LstmVariantCell> {
  static constexpr auto forward = lstm_variant_forward<V, false>;
  static constexpr auto backward = lstm_variant_backward<V, false>;
};
template <class V>
struct Between<V, LstmCoupledCell> {
  static constexpr auto forward = lstm_variant_forward<V, true>;
  static constexpr auto backward = lstm_variant_backward<V, true>;
};
template <class V>
struct Between<V, RnnVariantCell> {
  static constexpr auto forward = rnn_variant_forward<V>;
  static constexpr auto backward = rnn_variant_backward<V>;
};
template <class V>
struct Between<V, GruVariantCell> {
  static constexpr auto forward = gru_variant_forward<V>;
  static constexpr auto backward = gru_variant_backward<V>;
};

template <class V>
struct Between<V, GruResetBeforeCell> {
  static constexpr auto forward = reset_before_forward<V>;
  static constexpr auto backward = reset_before_backward<V>;
};

template <class V>
struct Between<V, LstmNormCell> {
  static constexpr auto backward = norm_backward<V>;
};

template <class Cell>
inline constexpr bool kIsGru = false;
template <>
inline constexpr bool kIsGru<GruCell> = true;
template <>
inline constexpr bool kIsGru<GruVariantCell> = true;
template <class Cell>
inline constexpr bool kIsNorm = false;
template <>
inline constexpr bool kIsNorm<LstmNormCell> = true;
template <class Cell>
inline constexpr bool kResetsBefore = false;
template <>
inline constexpr bool kResetsBefore<GruResetBeforeCell> = true;

// W: weights as stored; R: the ISA's row_tile.
template <class V, class W, int R, class Cell>
struct CellKernels {
  using T = typename V::Scalar;
  static void input_product(const InputProduct<T>& s) {
    if constexpr (kIsGru<Cell> || kResetsBefore<Cell>)
      gru_input_product<V, W, R>(s);
    else
      input_product_with<V, W, R>(s, kUnits<V, Cell>);
  }
  static void forward_step(const ForwardStep<T>& s) {
    if constexpr (kIsGru<Cell>)
      gru_forward_step_with<V, W, R, 1, 3>(s, Between<V, Cell>::forward);
    else if constexpr (kResetsBefore<Cell>)
      gru_forward_step_with<V, W, R, 0, 2>(s, Between<V, Cell>::forward);
    else if constexpr (kIsNorm<Cell>)
      norm_forward_step<V, W, R>(s);
    else
      forward_step_with<V, W, R>(s, kUnits<V, Cell>, Between<V, Cell>::forward);
  }
};

// Q: how whole numbers are multiplied. A GRU's panels hold zeros in slots without weights.
template <class V, class Q, int R, class Cell>
struct Int8Kernels {
  static void input_product(const InputProduct<float>& s) { int8_input_product_with<V, Q, R>(s, kUnits<V, Cell>); }
  // lstm_norm has no such step: small_network refuses it.
  static void forward_step(const ForwardStep<float>& s) {
    if constexpr (!kIsNorm<Cell>) int8_forward_step_with<V, Q, R>(s, kUnits<V, Cell>, Between<V, Cell>::forward);
  }
};

template <class V, int R, class Cell>
struct BackwardKernel {
  static void step(const BackwardStep<typename V::Scalar>& s) {
    backward_step_with<V, R>(s, kResetsBefore<Cell> ? 2 : Cell::gates, Between<V, Cell>::backward);
  }
};

}  // namespace
}  // namespace lstmfast
