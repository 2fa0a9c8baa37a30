// Weight gradients of one pass: dW += sum over (step, row) of dz [1, x, h], as large products.
#pragma once

#include "core/buffer.h"
#include "core/range.h"
#include "lstmfast/kernel_table.h"
#include "lstmfast/network.h"

namespace lstmfast {

// One thread's share of a pass's weight gradients: some tiles of gate rows, all columns of [1, x, h]. S: numbers of h;
// 0 for a matrix whose inputs are x alone.
// Terms are counted on from call to call of add(), so its chunks do not show in the sums.
template <class T>
class GradientShare {
 public:
  // Takes all its memory here. Throws std::bad_alloc.
  GradientShare(const KernelTable<T>& kernels, Index gate_rows, Index input_size, Index hidden_size, Index part,
                Index parts);

  // One term for each k, in their order: dz[k] [gate_rows] times 1, x[k] [I] and h[k] [S].
  void add(Index count, const T* const* dz, const T* const* x, const T* const* h);
  // After the last add(): writes this share's gate rows of every gradient that there is.
  void finish(const PassParameters<T>& gradients);

 private:
  void flush();
  void pack_term(const T* dz, const T* x, const T* h);

  const KernelTable<T>& kernels_;
  const Index gate_rows_, input_size_, state_size_;
  const Index columns_;  // 1 + I + S
  const Index width_;    // of a panel
  const Index panels_;
  const Range tiles_;
  Index terms_ = 0;          // packed and not yet added
  Buffer<T> packed_dz_;      // [tile][term][row_tile]
  Buffer<T> packed_inputs_;  // [panel][term][vector][lane]
  Buffer<T> row_;            // one row of [1, x, h], padded to whole panels
  Buffer<T> dw_;             // [panel][tile][row_tile][vector][lane]
};

}  // namespace lstmfast
