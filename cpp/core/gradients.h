// Weight gradients of one pass: dW += sum over (step, row) of dz [1, x, h], as large products.
#pragma once

#include "core/buffer.h"
#include "core/range.h"
#include "lstmfast/kernel_table.h"
#include "lstmfast/network.h"

namespace lstmfast {

// One thread's share of a pass's weight gradients: some tiles of gate rows, all columns of [x, h], and the bias. I and
// S are 0 where the gradient of that matrix is not wanted, or there is none. Terms are counted on from call to call of
// add(), so its chunks do not show in the sums.
template <class T>
class GradientShare {
 public:
  // Takes all its memory here. Throws std::bad_alloc.
  GradientShare(const KernelTable<T>& kernels, Index gate_rows, Index input_size, Index state_size, Index part,
                Index parts);

  // One term for each k, in their order: dz[k] [gate_rows], from dz_first on, times 1, x[k] [I] and h[k] [S]. x or h:
  // not read where I or S is 0.
  void add(Index count, const T* const* dz, Index dz_first, const T* const* x, const T* const* h);
  // After the last add(): writes this share's rows of the gradients, [gate_rows, I], [gate_rows, S] and twice
  // [gate_rows]. Those that are null are not wanted. first: the row of the gradients that dz begins with; after the
  // last comes the first one.
  void finish(Index first, T* dweight_x, T* dweight_h, T* dbias_1, T* dbias_2);

 private:
  void flush();
  void pack(const T* from, Index first_column, Index count);
  void carry_over();

  const KernelTable<T>& kernels_;
  const Index gate_rows_, input_size_, state_size_;
  const Index columns_;  // I + S
  const Index width_;    // of a panel
  const Index panels_;
  const Range tiles_;
  const Range rows_;  // of those tiles
  const Index carried_stride_;
  Index terms_ = 0;          // listed and not yet added
  Index carried_ = 0;        // of them, whose dz were copied
  Buffer<const T*> dz_;      // [term], from this share's first row on
  Buffer<T> carried_dz_;     // [term][carried_stride_]
  Buffer<T> packed_inputs_;  // [panel][term][vector][lane]
  Buffer<T> dw_;             // [panel][tile][row_tile][vector][lane]
  Buffer<T> db_;             // [rows_]
};

// Gradients of factors of single numbers, peepholes or gains: the sum over (step, row) of a product number by number.
// In groups of terms as above.
template <class T>
class ElementShare {
 public:
  // Of `count` numbers, a thread's part. Throws std::bad_alloc.
  ElementShare(const KernelTable<T>& kernels, Index count, int part, int parts);

  // One term for each k, as GradientShare has them: a[k] from a_first on times b[k] from b_first on.
  void add(Index terms, const T* const* a, Index a_first, const T* const* b, Index b_first);
  // After the last add(): writes this thread's part of [count].
  void finish(T* to);

 private:
  void flush();

  const KernelTable<T>& kernels_;
  const Range part_;
  Index terms_ = 0;  // in `group_`
  Buffer<T> group_;  // [count]
  Buffer<T> sum_;    // likewise, of the groups before
};

}  // namespace lstmfast
