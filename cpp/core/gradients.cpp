#include "core/gradients.h"

#include <algorithm>
#include <cstring>

namespace lstmfast {
namespace {

// Terms of a chain, packed and multiplied at once: a panel of that many stays in L1 over all gate rows, and
// the sum of such chains is closer to the truth than one chain over all steps would be.
constexpr Index kTerms = kGradientTerms;
// Room for a few more: tiles at a power of two from each other would share few sets of L1.
constexpr Index kRoom = kTerms + 8;

// R numbers each to tiles that lie `stride` apart. A size known here makes each a move or two.
template <int R, class T>
void deal_out(const T* from, Index tiles, T* to, Index stride) {
  for (Index t = 0; t < tiles; ++t) std::memcpy(to + t * stride, from + t * R, R * sizeof(T));
}

// For the row tiles that there are; any other takes a slower way.
template <class T>
void deal_out(Index row_tile, const T* from, Index tiles, T* to, Index stride) {
  if (row_tile == 6) return deal_out<6>(from, tiles, to, stride);
  if (row_tile == 3) return deal_out<3>(from, tiles, to, stride);
  for (Index t = 0; t < tiles; ++t) std::copy_n(from + t * row_tile, row_tile, to + t * stride);
}

}  // namespace

template <class T>
GradientShare<T>::GradientShare(const KernelTable<T>& kernels, Index gate_rows, Index input_size, Index state_size,
                                Index part, Index parts)
    : kernels_(kernels),
      gate_rows_(gate_rows),
      input_size_(input_size),
      state_size_(state_size),
      columns_(1 + input_size + state_size),
      width_(kPanelVectors * kernels.lanes),
      panels_((columns_ + width_ - 1) / width_),
      tiles_(part_of((gate_rows + kernels.row_tile - 1) / kernels.row_tile, part, parts)),
      packed_dz_(checked_product({tiles_.size(), kRoom, kernels.row_tile})),
      packed_inputs_(checked_product({panels_, kRoom, width_})),
      row_(panels_ * width_),
      dw_(checked_product({panels_, tiles_.size(), kernels.row_tile, width_})) {
  row_.fill_zero();
  row_.data()[0] = T(1);  // the bias's input; a product with 1 is exact
  dw_.fill_zero();
}

template <class T>
void GradientShare<T>::add(Index count, const T* const* dz, const T* const* x, const T* const* h) {
  for (Index k = 0; k < count; ++k) {
    pack_term(dz[k], x[k], h[k]);
    if (terms_ == kTerms) flush();
  }
}

template <class T>
void GradientShare<T>::pack_term(const T* dz, const T* x, const T* h) {
  const Index row_tile = kernels_.row_tile;
  const Index first = tiles_.begin * row_tile;
  const Index whole = std::min(tiles_.size(), (gate_rows_ - first) / row_tile);
  deal_out(row_tile, dz + first, whole, packed_dz_.data() + terms_ * row_tile, kRoom * row_tile);
  if (whole < tiles_.size()) {  // the last one
    T* const tile = packed_dz_.data() + (whole * kRoom + terms_) * row_tile;
    const Index rest = gate_rows_ - first - whole * row_tile;
    std::fill_n(std::copy_n(dz + first + whole * row_tile, rest, tile), row_tile - rest, T(0));
  }
  std::copy_n(x, input_size_, row_.data() + 1);
  std::copy_n(h, state_size_, row_.data() + 1 + input_size_);
  for (Index p = 0; p < panels_; ++p)
    std::copy_n(row_.data() + p * width_, width_, packed_inputs_.data() + (p * kRoom + terms_) * width_);
  ++terms_;
}

template <class T>
void GradientShare<T>::flush() {
  const GradientProduct<T> product = {
      terms_, kRoom, tiles_.size(), columns_, packed_dz_.data(), packed_inputs_.data(), dw_.data()};
  kernels_.gradient_product(product);
  terms_ = 0;
}

template <class T>
void GradientShare<T>::finish(const PassParameters<T>& gradients) {
  flush();
  const Index row_tile = kernels_.row_tile;
  const Index panel_size = tiles_.size() * row_tile * width_;
  for (Index r = 0; r < tiles_.size() * row_tile; ++r) {
    const Index row = tiles_.begin * row_tile + r;
    if (row >= gate_rows_) break;
    T* const sums = row_.data();  // of [1, x, h], unpacked
    for (Index p = 0; p < panels_; ++p)
      std::copy_n(dw_.data() + p * panel_size + r * width_, width_, sums + p * width_);
    if (gradients.bias_ih) gradients.bias_ih[row] = gradients.bias_hh[row] = sums[0];
    std::copy_n(sums + 1, input_size_, gradients.weight_ih + row * input_size_);
    if (gradients.weight_hh) std::copy_n(sums + 1 + input_size_, state_size_, gradients.weight_hh + row * state_size_);
  }
}

template class GradientShare<float>;
template class GradientShare<double>;

}  // namespace lstmfast
