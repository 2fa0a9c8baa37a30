#include "core/packing.h"

#include <algorithm>

namespace lstmfast {

template <class T>
ForwardPacking<T>::ForwardPacking(const NetworkShape& shape, Index input_size, Index lanes,
                                  const PassParameters<const T>& weights)
    : layout_{shape.gates(), shape.hidden_size, lanes},
      input_size_(input_size),
      rows_(1 + input_size + shape.state_size()),
      memory_(checked_product({layout_.panels(), rows_, layout_.width()})) {
  memory_.fill_zero();
  const Index width = layout_.width(), state_size = shape.state_size();
  for (Index g = 0; g < layout_.groups; ++g)
    for (Index u = 0; u < layout_.units; ++u) {
      const Index from = g * layout_.units + u;  // row of the unpacked matrices
      T* to = row(g, u);
      if (weights.bias_ih) *to = weights.bias_ih[from] + weights.bias_hh[from];
      for (Index k = 0; k < input_size; ++k) *(to += width) = weights.weight_ih[from * input_size + k];
      for (Index k = 0; k < state_size; ++k) *(to += width) = weights.weight_hh[from * state_size + k];
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

// panels [term][vector][lane] of a matrix whose element of term k and column c is at(k, c).
template <class T, class At>
Buffer<T> pack_matrix(Index terms, const PanelLayout& layout, const At& at) {
  const Index width = layout.width();
  Buffer<T> packed(checked_product({layout.panels(), terms, width}));
  packed.fill_zero();
  for (Index c = 0; c < layout.units; ++c) {
    T* const to = packed.data() + layout.panel_of(c) * terms * width + layout.column_of(0, c);
    for (Index k = 0; k < terms; ++k) to[k * width] = at(k, c);
  }
  return packed;
}

}  // namespace

template <class T>
ProjectionPacking<T>::ProjectionPacking(const NetworkShape& shape, Index lanes, const T* weight_hr)
    : layout_{1, shape.projection_size, lanes},
      terms_(shape.hidden_size),
      memory_(pack_matrix<T>(terms_, layout_, [&](Index k, Index c) { return weight_hr[c * terms_ + k]; })) {}

template <class T>
BackwardPacking<T>::BackwardPacking(const ForwardPacking<T>& forward, const ProjectionPacking<T>* projection)
    : input_(pack_columns(forward, 1, forward.input_size())),
      hidden_(pack_columns(forward, 1 + forward.input_size(), forward.state_size())) {
  if (!projection) return;
  const PanelLayout layout = {1, forward.layout().units, forward.layout().lanes};
  projection_ = pack_matrix<T>(forward.state_size(), layout, [&](Index k, Index c) { return projection->at(k, c); });
}

template class ForwardPacking<float>;
template class ForwardPacking<double>;
template class ProjectionPacking<float>;
template class ProjectionPacking<double>;
template class BackwardPacking<float>;
template class BackwardPacking<double>;

}  // namespace lstmfast
