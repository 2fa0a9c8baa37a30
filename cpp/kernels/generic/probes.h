// Probes: the most multiply-adds and the most loads that this ISA can do, and nothing else.
//
// Both return a value, so that no compiler drops the work.
#pragma once

#include "kernels/generic/inline.h"
#include "lstmfast/kernel_table.h"

namespace lstmfast {
namespace {

template <class V>
LSTMFAST_INLINE double sum_of(const V (&acc)[kPeakChains]) {
  V sum = acc[0];
  for (int n = 1; n < kPeakChains; ++n) sum = sum + acc[n];
  typename V::Scalar lanes[V::lanes];
  sum.store(lanes);
  return static_cast<double>(lanes[0]);
}

// Twelve independent chains: enough for two units of latency four, with some slack.
template <class V>
LSTMFAST_TILE double multiply_adds(Index repeats) {
  V acc[kPeakChains];
  for (int n = 0; n < kPeakChains; ++n) acc[n] = V::set1(static_cast<typename V::Scalar>(n));
  const V factor = V::set1(static_cast<typename V::Scalar>(0.999));
  for (Index k = 0; k < repeats; ++k)
    for (int n = 0; n < kPeakChains; ++n) acc[n] = fma(acc[n], factor, factor);
  return sum_of(acc);
}

// Every load feeds one multiply-add, as in a product with one row.
template <class V>
LSTMFAST_TILE double loads(Index n, const typename V::Scalar* from, Index repeats) {
  V acc[kPeakChains];
  for (int c = 0; c < kPeakChains; ++c) acc[c] = V::set1(0);
  const V factor = V::set1(static_cast<typename V::Scalar>(0.5));
  for (Index repeat = 0; repeat < repeats; ++repeat)
    for (Index k = 0; k < n; k += kPeakChains * V::lanes)
      for (int c = 0; c < kPeakChains; ++c) acc[c] = fma(V::load(from + k + c * V::lanes), factor, acc[c]);
  return sum_of(acc);
}

}  // namespace
}  // namespace lstmfast
