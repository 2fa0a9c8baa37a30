// exp, sigmoid and tanh over a vector type V. See docs/numerics.md for the errors measured.
//
// No table, no gather, no library call: the same operations on every ISA, so the same bits.
#pragma once

#include "kernels/generic/inline.h"

namespace lstmfast {
namespace {

// Constants of exp: exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln(2) / 2.
template <class T>
struct ExpConstants;

template <>
struct ExpConstants<float> {
  static constexpr float log2e = 1.44269504088896341f;
  // ln 2 = high + low: n * high is exact, inside a fused multiply-add for any high, else because high is short.
  static constexpr float ln2_high = LSTMFAST_FUSED ? 0.693147182464599609375f : 0.693359375f;
  static constexpr float ln2_low = LSTMFAST_FUSED ? -1.904654299957767e-9f : -2.12194440054690583e-4f;
  // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits of the mantissa.
  static constexpr float round = 12582912.0f;
  // 2^-n is made as 2^(lift - n) * 2^-lift, so that it may be a denormal.
  static constexpr float lift = 64.0f;
  static constexpr float unlift = 5.42101086242752217e-20f;
  static constexpr float exp_limit = 105.0f;  // sigmoid(-limit) is 0 in float
  static constexpr float tanh_limit = 10.0f;  // tanh(limit) is 1 in float
};

template <>
struct ExpConstants<double> {
  static constexpr double log2e = 1.4426950408889634074;
  static constexpr double ln2_high = LSTMFAST_FUSED ? 0.69314718055994528623 : 6.93147180369123816490e-01;
  static constexpr double ln2_low = LSTMFAST_FUSED ? 2.3190468138462995584e-17 : 1.90821492927058770002e-10;
  static constexpr double round = 6755399441055744.0;
  static constexpr double lift = 512.0;
  static constexpr double unlift = 7.4583407312002067e-155;  // 2^-512
  static constexpr double exp_limit = 750.0;
  static constexpr double tanh_limit = 20.0;
};

// (exp(r) - 1 - r) / r^2 for |r| <= ln(2) / 2, highest power first.
template <class T>
struct ExpTail;

// Cephes expf (Moshier, 1992).
template <>
struct ExpTail<float> {
  static constexpr int degree = 5;
  static constexpr float factors[] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                                      4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
};

// The Taylor series of exp up to r^13 / 13!; the rest is below 5e-18.
template <>
struct ExpTail<double> {
  static constexpr int degree = 11;
  static constexpr double factors[] = {1.0 / 6227020800.0, 1.0 / 479001600.0, 1.0 / 39916800.0, 1.0 / 3628800.0,
                                       1.0 / 362880.0,     1.0 / 40320.0,     1.0 / 5040.0,     1.0 / 720.0,
                                       1.0 / 120.0,        1.0 / 24.0,        1.0 / 6.0,        0.5};
};

// exp(x) = 2^n (1 + q) with q = expm1(r). `rounded` is n + C::round, as power_of_two() wants it.
template <class V>
struct ExpParts {
  V rounded;
  V n;
  V q;
};

// Of K values, step by step side by side: each value is one long chain, and those of several overlap wherever the CPU
// looks, where one after the other they would only as far as it looks ahead.
template <class V, int K>
LSTMFAST_INLINE void exp_parts(const V (&x)[K], ExpParts<V> (&e)[K]) {
  using T = typename V::Scalar;
  using C = ExpConstants<T>;
  using Tail = ExpTail<T>;
  V r[K], p[K];
  LSTMFAST_UNROLL for (int k = 0; k < K; ++k) e[k].rounded = fma(x[k], V::set1(C::log2e), V::set1(C::round));
  LSTMFAST_UNROLL for (int k = 0; k < K; ++k) e[k].n = e[k].rounded - V::set1(C::round);
  LSTMFAST_UNROLL for (int k = 0; k < K; ++k) r[k] = fma(e[k].n, V::set1(-C::ln2_high), x[k]);
  LSTMFAST_UNROLL for (int k = 0; k < K; ++k) r[k] = fma(e[k].n, V::set1(-C::ln2_low), r[k]);
  LSTMFAST_UNROLL for (int k = 0; k < K; ++k) p[k] = V::set1(Tail::factors[0]);
  LSTMFAST_UNROLL for (int d = 1; d <= Tail::degree; ++d) LSTMFAST_UNROLL for (int k = 0; k < K; ++k) p[k] =
      fma(p[k], r[k], V::set1(Tail::factors[d]));
  LSTMFAST_UNROLL for (int k = 0; k < K; ++k) e[k].q = fma(r[k] * r[k], p[k], r[k]);
}

template <class V>
LSTMFAST_INLINE ExpParts<V> exp_parts(V x) {
  const V all[1] = {x};
  ExpParts<V> e[1];
  exp_parts(all, e);
  return e[0];
}

// sigmoid(x) = 1 / (1 + exp(-x)). With exp(-x) = 2^n (1 + q) and s = 2^-|n|, which is exact:
//   x >= 0 (n <= 0):  1 / (1 + (s + s q))        x < 0 (n >= 0):  s / (1 + (s + q))
// Nothing overflows, the inner sum is small where its rounding would count, and the quotient is right
// down to the denormals. (With (1 + s) + q the error is 2.4 ULP where s is 2^-24.)
//
// In two steps, what exp() is of and what is made of its parts, for callers that take several values side by side.
template <class V>
LSTMFAST_INLINE V sigmoid_argument(V x) {
  using C = ExpConstants<typename V::Scalar>;
  return at_least(at_most(V::set1(0) - x, V::set1(C::exp_limit)), V::set1(-C::exp_limit));
}
template <class V>
LSTMFAST_INLINE V sigmoid_of(V x, const ExpParts<V>& e) {
  using C = ExpConstants<typename V::Scalar>;
  const V one = V::set1(1);
  const V s = power_of_two(V::set1(C::round + C::lift) - abs(e.n)) * V::set1(C::unlift);
  return select_negative(x, s, one) / (one + fma(select_negative(x, one, s), e.q, s));
}
template <class V>
LSTMFAST_INLINE V sigmoid(V x) {
  return sigmoid_of(x, exp_parts(sigmoid_argument(x)));
}

// tanh(|x|) = e / (e + 2) with e = exp(2 |x|) - 1: no cancellation near 0, where 1 - 2 / (exp(2x) + 1) has no digit
// left.
template <class V>
LSTMFAST_INLINE V tanh_argument(V x) {
  using C = ExpConstants<typename V::Scalar>;
  const V magnitude = at_most(abs(x), V::set1(C::tanh_limit));
  return magnitude + magnitude;
}
template <class V>
LSTMFAST_INLINE V tanh_of(V x, const ExpParts<V>& parts) {
  const V power = power_of_two(parts.rounded);
  const V e = fma(power, parts.q, power - V::set1(1));
  return copy_sign(e / (e + V::set1(2)), x);
}
template <class V>
LSTMFAST_INLINE V tanh(V x) {
  return tanh_of(x, exp_parts(tanh_argument(x)));
}

}  // namespace
}  // namespace lstmfast
