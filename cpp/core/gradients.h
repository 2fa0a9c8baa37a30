// Weight gradients of one pass: dW += sum over (step, row) of dz [1, x, h], as large products.
#pragma once

#include "core/buffer.h"
#include "core/range.h"
#include "core/time.h"
#include "lstmfast/kernel_table.h"
#include "lstmfast/network.h"

namespace lstmfast {

// The inputs of a pass, step by step: what its gates saw.
template <class T>
struct GateInputs {
  TimeOrder order;
  Sequence<const T> x;  // [T, B, I]
  const T* h0;          // [B, H]
  Sequence<const T> h;  // [T, B, H]
};

// One thread's share of a pass's weight gradients: some tiles of gate rows, all columns of [1, x, h].
// Terms are counted on from call to call of add(), so its chunks do not show in the sums.
template <class T>
class GradientShare {
 public:
  // Takes all its memory here. Throws std::bad_alloc.
  GradientShare(const KernelTable<T>& kernels, Index gate_rows, Index input_size, Index hidden_size, Index part,
                Index parts);

  // Steps [begin, end) from the last to the first, rows ascending. dz: [end - begin][rows][gate_rows].
  void add(const GateInputs<T>& inputs, const T* dz, Index rows, Range steps);
  // After the last add(): writes this share's gate rows of every gradient.
  void finish(const PassParameters<T>& gradients);

 private:
  void flush();
  void pack_term(const T* dz, const T* x, const T* h);

  const KernelTable<T>& kernels_;
  const Index gate_rows_, input_size_, hidden_size_;
  const Index columns_;  // 1 + I + H
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
