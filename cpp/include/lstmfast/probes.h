// What one thread of this machine can do at most: the limits that speed is compared with.
#pragma once

#include "lstmfast/kernel_table.h"

namespace lstmfast {

// Fused multiply-adds, two operations each, in 1e9/s; measured for about `seconds`.
template <class T>
double peak_gflops(const KernelTable<T>& kernels, double seconds);

// Bytes loaded from an array of about `bytes`, read again and again, in 1e9/s. Throws std::invalid_argument
// for an array too small for one round of vectors.
double load_gbps(const KernelTable<float>& kernels, Index bytes, double seconds);

}  // namespace lstmfast
