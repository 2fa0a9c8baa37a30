#include "core/packing.h"

#include <algorithm>

namespace lstmfast {

template <class T>
ForwardPacking<T>::ForwardPacking(Cell cell, Index input_size, Index hidden_size, Index lanes,
                                  const PassParameters<const T>& weights)
    : layout_{gates_of(cell), hidden_size, lanes},
      input_size_(input_size),
      rows_(1 + input_size + hidden_size),
      memory_(checked_product({layout_.panels(), rows_, layout_.width()})) {
  memory_.fill_zero();
  const Index width = layout_.width();
  for (Index g = 0; g < layout_.groups; ++g)
    for (Index u = 0; u < hidden_size; ++u) {
      const Index from = g * hidden_size + u;  // row of the unpacked matrices
      T* to = row(g, u);
      if (weights.bias_ih) *to = weights.bias_ih[from] + weights.bias_hh[from];
      for (Index k = 0; k < input_size; ++k) *(to += width) = weights.weight_ih[from * input_size + k];
      for (Index k = 0; k < hidden_size; ++k) *(to += width) = weights.weight_hh[from * hidden_size + k];
    }
}

namespace {

// Columns [first, first + columns) of the rows of a forward packing, as [panel][gate][unit][vector][lane].
template <class T>
Buffer<T> pack_columns(const ForwardPacking<T>& forward, Index first, Index columns) {
  const Index gates = forward.layout().groups, units = forward.layout().units, width = forward.layout().width();
  const PanelLayout layout = {1, columns, forward.layout().lanes};
  const Index panel_size = gates * units * width;
  Buffer<T> packed(checked_product({layout.panels(), panel_size}));
  packed.fill_zero();
  for (Index g = 0; g < gates; ++g)
    for (Index u = 0; u < units; ++u) {
      const T* const from = forward.row(g, u) + first * width;
      for (Index p = 0; p < layout.panels(); ++p) {
        T* const to = packed.data() + p * panel_size + (g * units + u) * width;
        const Index count = std::min(width, columns - p * width);
        for (Index c = 0; c < count; ++c) to[c] = from[(p * width + c) * width];
      }
    }
  return packed;
}

}  // namespace

template <class T>
BackwardPacking<T>::BackwardPacking(const ForwardPacking<T>& forward)
    : input_(pack_columns(forward, 1, forward.input_size())),
      hidden_(pack_columns(forward, 1 + forward.input_size(), forward.layout().units)) {}

template class ForwardPacking<float>;
template class ForwardPacking<double>;
template class BackwardPacking<float>;
template class BackwardPacking<double>;

}  // namespace lstmfast
