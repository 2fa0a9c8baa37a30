// What training does with gradients beside making them: their norm, and Adam's step. Number by number, so the same bits
// on every ISA and with any number of threads.
#pragma once

#include "lstmfast/types.h"

namespace lstmfast {

// The largest |x[k]| of n; infinity where one is NaN or infinite, 0 where there is none.
template <class T>
double largest_magnitude(const T* x, Index n);

// Sum of (x[k] / unit)^2 in float64, over blocks whose sums are added in order. unit: finite and above 0. With the
// largest magnitude for it no square of a float64 is too large; those that are become infinite.
template <class T>
double sum_of_squares(const T* x, Index n, double unit);

// The numbers of one step of Adam, each rounded to T as an array of T meets it in NumPy.
template <class T>
struct AdamRates {
  T mean_share, square_decay, square_share;  // 1 - beta1, beta2, 1 - beta2
  T rate;                                    // learning rate / (1 - beta1^t)
  T root_correction;                         // sqrt(1 - beta2^t)
  T epsilon;
};

// One array of n weights. New ones may be old ones.
template <class T>
struct AdamArrays {
  Index n;
  const T *weight, *gradient, *mean, *square;
  T *new_weight, *new_mean, *new_square;
};

// m' = m + (1 - beta1) (g - m), v' = beta2 v + (1 - beta2) g^2, w' = w - rate m' / (sqrt(v') / root_correction + eps),
// each operation rounded as it stands here. Returns whether all v' are finite: they are not where a gradient is not, or
// cannot be squared.
template <class T>
bool adam_step(const AdamRates<T>& rates, const AdamArrays<T>& arrays);

}  // namespace lstmfast
