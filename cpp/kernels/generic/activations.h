// What variants of cells apply to their sums: the functions that ONNX names for its recurrent operators, and their
// slopes.
//
// Chosen by a switch a vector, which goes the same way every time and costs little beside exp(). Compiled once for each
// vector, and called: inlined wherever a variant applies one, they were half of a file's time and size.
#pragma once

#include "kernels/generic/math.h"
#include "lstmfast/types.h"

namespace lstmfast {
namespace {

// From here on 2^n is a normal number.
template <class T>
constexpr T least_exponent() {
  return sizeof(T) == 4 ? T(-87) : T(-708);
}
// exp(x) and exp(x) - 1 for x not above 0.
template <class V>
struct Exponential {
  V above, power, q;  // exp(x) = power (1 + q)

  explicit LSTMFAST_INLINE Exponential(V x) {
    const V least = V::set1(least_exponent<typename V::Scalar>());
    const ExpParts<V> parts = exp_parts(at_least(x, least));
    above = x - least;
    power = power_of_two(parts.rounded);
    q = parts.q;
  }
  // 0 where it would not be a normal number.
  LSTMFAST_INLINE V value() const { return zero_where_not_positive(above, fma(power, q, power)); }
  LSTMFAST_INLINE V minus_one() const { return fma(power, q, power - V::set1(1)); }
};

// log(1 + u) for u from 0 to 1: 2 atanh(s), s = u / (2 + u) <= 1/3, by its series up to s^19, or s^37 of doubles.
template <class V>
LSTMFAST_INLINE V log_of_one_plus(V u) {
  using T = typename V::Scalar;
  constexpr int last = sizeof(T) == 4 ? 9 : 18;
  const V s = u / (V::set1(2) + u), square = s * s;
  V sum = V::set1(T(2) / T(2 * last + 1));
  LSTMFAST_UNROLL for (int k = 1; k <= last; ++k) sum = fma(sum, square, V::set1(T(2) / T(2 * (last - k) + 1)));
  return s * sum;
}

// a where x > 0 or x is NaN, else b.
template <class V>
LSTMFAST_INLINE V where_positive(V x, V a, V b) {
  return select_negative(zero_where_not_positive(x, V::set1(-1)), a, b);
}

template <class V>
LSTMFAST_ONCE V activated(const Activation<typename V::Scalar>& a, V x) {
  const V zero = V::set1(0), one = V::set1(1), alpha = V::set1(a.alpha), beta = V::set1(a.beta);
  switch (a.function) {
    case Function::tanh: return tanh(x);
    case Function::sigmoid: return sigmoid(x);
    case Function::relu: return at_least(x, zero);
    case Function::affine: return fma(alpha, x, beta);
    case Function::leaky_relu: return where_positive(x, x, alpha * x);
    case Function::thresholded_relu: return zero_where_not_positive(x - alpha, x);
    case Function::scaled_tanh: return alpha * tanh(beta * x);
    case Function::hard_sigmoid: return at_most(at_least(fma(alpha, x, beta), zero), one);
    case Function::elu: return where_positive(x, x, alpha * Exponential<V>(at_most(x, zero)).minus_one());
    case Function::softsign: {
      const V size = at_most(abs(x), V::set1(typename V::Scalar(1e30)));  // infinity over itself would be NaN
      return copy_sign(size / (one + size), x);
    }
    case Function::softplus: return at_least(x, zero) + log_of_one_plus(Exponential<V>(zero - abs(x)).value());
  }
  return x;
}

// The derivative at x; y: activated(x).
template <class V>
LSTMFAST_ONCE V slope(const Activation<typename V::Scalar>& a, V x, V y) {
  const V zero = V::set1(0), one = V::set1(1), alpha = V::set1(a.alpha);
  switch (a.function) {
    case Function::tanh: return one - y * y;
    case Function::sigmoid: return y * (one - y);
    case Function::relu: return zero_where_not_positive(x, one);
    case Function::affine: return alpha;
    case Function::leaky_relu: return where_positive(x, one, alpha);
    case Function::thresholded_relu: return zero_where_not_positive(x - alpha, one);
    case Function::scaled_tanh: {
      const V t = tanh(V::set1(a.beta) * x);
      return alpha * V::set1(a.beta) * (one - t * t);
    }
    case Function::hard_sigmoid: {
      const V sum = fma(alpha, x, V::set1(a.beta));
      return zero_where_not_positive(sum, zero_where_not_positive(one - sum, alpha));
    }
    case Function::elu: return where_positive(x, one, alpha * Exponential<V>(at_most(x, zero)).value());
    case Function::softsign: {
      const V t = one / (one + abs(x));
      return t * t;
    }
    case Function::softplus: return sigmoid(x);
  }
  return one;
}

// A function of clipped arguments, as a variant's gates have it.
template <class V>
struct Gate {
  using T = typename V::Scalar;
  const Activation<T>& activation;
  T clip;  // 0: none

  LSTMFAST_INLINE V argument(V z) const { return clip > 0 ? at_least(at_most(z, V::set1(clip)), V::set1(-clip)) : z; }
  LSTMFAST_INLINE V operator()(V z) const { return activated(activation, argument(z)); }
  // y: of this z. Beyond the clip nothing changes y.
  LSTMFAST_INLINE V slope_at(V z, V y) const {
    const V inside = slope(activation, argument(z), y);
    return clip > 0 ? select_negative(V::set1(clip) - abs(z), V::set1(0), inside) : inside;
  }
};

}  // namespace
}  // namespace lstmfast
