// Products of a dense layer, z = W x + b, and back: in the kernels' own order, so the same bits on every ISA, with any
// number of threads and whatever the other rows are.
#pragma once

#include "lstmfast/kernel_table.h"

namespace lstmfast {

struct DenseShape {
  Index rows;          // N
  Index in_features;   // I
  Index out_features;  // K
};

// z[n, k] = (sum over i of x[n, i] weight[k, i]) + bias[k], the sum one chain by i from zero.
template <class T>
struct DenseForward {
  DenseShape shape;
  const T* x;       // [N, I]
  const T* weight;  // [K, I]
  const T* bias;    // [K], or null
  T* z;             // [N, K]
};

// dx = dz W, one chain by k for each; dW and db as those of a recurrent layer, over rows from first to last.
template <class T>
struct DenseBackward {
  DenseShape shape;
  const T* x;       // [N, I]
  const T* weight;  // [K, I]
  const T* dz;      // [N, K]
  T* dx;            // [N, I]
  T* dweight;       // [K, I]
  T* dbias;         // [K], or null
};

// Each throws std::bad_alloc, or GivenUp (stopping.h).
template <class T>
void dense_forward(const KernelTable<T>& kernels, const DenseForward<T>& call);
template <class T>
void dense_backward(const KernelTable<T>& kernels, const DenseBackward<T>& call);

}  // namespace lstmfast
