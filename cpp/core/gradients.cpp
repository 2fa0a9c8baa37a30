#include "core/gradients.h"

#include <algorithm>
#include <cstring>

namespace lstmfast {
namespace {

// Terms of a chain, packed and multiplied at once: a panel of that many stays in L1 over all gate rows, and
// the sum of such chains is closer to the truth than one chain over all steps would be.
constexpr Index kTerms = kGradientTerms;
// Room for a few more: panels at a power of two from each other would share few sets of L1.
constexpr Index kRoom = kTerms + 8;

Range rows_of_tiles(const Range& tiles, Index row_tile, Index rows) {
  return {std::min(tiles.begin * row_tile, rows), std::min(tiles.end * row_tile, rows)};
}

// Columns [first, first + count) in pieces that lie in one panel each: each(panel, column in it, how many of `count`
// came before, how many these are).
template <class F>
void for_pieces(Index first, Index count, Index width, F&& each) {
  Index panel = first / width, column = first % width;
  for (Index done = 0; done < count; ++panel, column = 0) {
    const Index here = std::min(width - column, count - done);
    each(panel, column, done, here);
    done += here;
  }
}

}  // namespace

template <class T>
GradientShare<T>::GradientShare(const KernelTable<T>& kernels, Index gate_rows, Index input_size, Index state_size,
                                Index part, Index parts)
    : kernels_(kernels),
      gate_rows_(gate_rows),
      input_size_(input_size),
      state_size_(state_size),
      columns_(input_size + state_size),
      width_(kPanelVectors * kernels.lanes),
      panels_((columns_ + width_ - 1) / width_),
      tiles_(part_of((gate_rows + kernels.row_tile - 1) / kernels.row_tile, part, parts)),
      rows_(rows_of_tiles(tiles_, kernels.row_tile, gate_rows)),
      carried_stride_(odd_lines<T>(rows_.size())),
      dz_(kTerms),
      carried_dz_(checked_product({kTerms, carried_stride_})),
      packed_inputs_(checked_product({panels_, kRoom, width_})),
      dw_(checked_product({panels_, tiles_.size(), kernels.row_tile, width_})),
      db_(rows_.size()) {
  packed_inputs_.fill_zero();  // past the last column it stays so
  dw_.fill_zero();
  db_.fill_zero();
}

template <class T>
void GradientShare<T>::add(Index count, const T* const* dz, Index dz_first, const T* const* x, const T* const* h) {
  if (rows_.size() == 0) return;
  for (Index k = 0; k < count; ++k) {
    dz_.data()[terms_] = dz[k] + dz_first + rows_.begin;
    if (input_size_) pack(x[k], 0, input_size_);
    if (state_size_) pack(h[k], input_size_, state_size_);
    if (++terms_ == kTerms) flush();
  }
  carry_over();
}

// Columns [first, first + count) of the present term.
template <class T>
void GradientShare<T>::pack(const T* from, Index first, Index count) {
  for_pieces(first, count, width_, [&](Index panel, Index column, Index done, Index here) {
    T* const to = packed_inputs_.data() + (panel * kRoom + terms_) * width_ + column;
    std::memcpy(to, from + done, static_cast<std::size_t>(here) * sizeof(T));
  });
}

// The caller's dz will be gone when the terms that are still to come complete the group.
template <class T>
void GradientShare<T>::carry_over() {
  for (; carried_ < terms_; ++carried_) {
    T* const to = carried_dz_.data() + carried_ * carried_stride_;
    std::copy_n(dz_.data()[carried_], rows_.size(), to);
    dz_.data()[carried_] = to;
  }
}

template <class T>
void GradientShare<T>::flush() {
  const GradientProduct<T> product = {terms_,     kRoom,     rows_.size(), columns_, dz_.data(), packed_inputs_.data(),
                                      dw_.data(), db_.data()};
  kernels_.gradient_product(product);
  terms_ = carried_ = 0;
}

template <class T>
void GradientShare<T>::finish(Index first, T* dweight_x, T* dweight_h, T* dbias_1, T* dbias_2) {
  flush();
  const Index panel_size = tiles_.size() * kernels_.row_tile * width_;
  for (Index r = 0; r < rows_.size(); ++r) {
    const Index row = (first + rows_.begin + r) % gate_rows_;
    // Columns [first, first + count) of a row of dW.
    const auto unpack = [&](T* to, Index column_first, Index count) {
      for_pieces(column_first, count, width_, [&](Index panel, Index column, Index done, Index here) {
        std::copy_n(dw_.data() + panel * panel_size + r * width_ + column, here, to + done);
      });
    };
    if (dbias_1) dbias_1[row] = db_.data()[r];
    if (dbias_2) dbias_2[row] = db_.data()[r];
    if (dweight_x) unpack(dweight_x + row * input_size_, 0, input_size_);
    if (dweight_h) unpack(dweight_h + row * state_size_, input_size_, state_size_);
  }
}

template <class T>
ElementShare<T>::ElementShare(const KernelTable<T>& kernels, Index count, int part, int parts)
    : kernels_(kernels), part_(part_of(count, part, parts)), group_(count), sum_(count) {
  group_.fill_zero();
  sum_.fill_zero();
}

template <class T>
void ElementShare<T>::add(Index terms, const T* const* a, Index a_first, const T* const* b, Index b_first) {
  for (Index k = 0, here; k < terms; k += here) {
    here = std::min(terms - k, kTerms - terms_);
    kernels_.element_product({here, part_.begin, part_.end, a + k, a_first, b + k, b_first, group_.data()});
    terms_ += here;
    if (terms_ == kTerms) flush();
  }
}

template <class T>
void ElementShare<T>::flush() {
  for (Index k = part_.begin; k < part_.end; ++k) {
    sum_.data()[k] += group_.data()[k];
    group_.data()[k] = T(0);
  }
  terms_ = 0;
}

template <class T>
void ElementShare<T>::finish(T* to) {
  flush();
  std::copy(sum_.data() + part_.begin, sum_.data() + part_.end, to + part_.begin);
}

template class GradientShare<float>;
template class GradientShare<double>;
template class ElementShare<float>;
template class ElementShare<double>;

}  // namespace lstmfast
