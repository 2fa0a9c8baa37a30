#include "core/packing.h"

namespace lstmfast {

template <class T>
ForwardPacking<T>::ForwardPacking(Cell cell, Index input_size, Index hidden_size, Index lanes,
                                  const PassParameters<const T>& weights)
    : layout_{gates_of(cell), hidden_size, lanes},
      input_size_(input_size),
      rows_(1 + input_size + hidden_size),
      memory_(checked_product({layout_.panels(), rows_, layout_.width()})) {
  memory_.fill_zero();
  for (Index g = 0; g < layout_.groups; ++g)
    for (Index u = 0; u < hidden_size; ++u) {
      const Index row = g * hidden_size + u;  // of the unpacked matrices
      if (weights.bias_ih) at(g, u, 0) = weights.bias_ih[row] + weights.bias_hh[row];
      for (Index k = 0; k < input_size; ++k) at(g, u, 1 + k) = weights.weight_ih[row * input_size + k];
      for (Index k = 0; k < hidden_size; ++k) at(g, u, 1 + input_size + k) = weights.weight_hh[row * hidden_size + k];
    }
}

namespace {

// element(gate, unit, column) for all columns, as [panel][gate][unit][vector][lane].
template <class T, class Element>
Buffer<T> pack_columns(Index gates, Index units, Index columns, Index lanes, Element&& element) {
  const PanelLayout layout = {1, columns, lanes};
  Buffer<T> packed(checked_product({layout.panels(), gates, units, layout.width()}));
  packed.fill_zero();
  for (Index column = 0; column < columns; ++column) {
    T* const panel = packed.data() + layout.panel_of(column) * gates * units * layout.width();
    for (Index g = 0; g < gates; ++g)
      for (Index u = 0; u < units; ++u)
        panel[(g * units + u) * layout.width() + layout.column_of(0, column)] = element(g, u, column);
  }
  return packed;
}

}  // namespace

template <class T>
BackwardPacking<T>::BackwardPacking(const ForwardPacking<T>& forward) {
  const PanelLayout& from = forward.layout();
  const auto pack = [&](Index columns, auto&& element) {
    return pack_columns<T>(from.groups, from.units, columns, from.lanes, element);
  };
  input_ = pack(forward.input_size(), [&](Index g, Index u, Index k) { return forward.weight_ih(g, u, k); });
  hidden_ = pack(from.units, [&](Index g, Index u, Index k) { return forward.weight_hh(g, u, k); });
}

template class ForwardPacking<float>;
template class ForwardPacking<double>;
template class BackwardPacking<float>;
template class BackwardPacking<double>;

}  // namespace lstmfast
