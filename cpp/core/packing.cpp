#include "core/packing.h"

#include <algorithm>

#include "core/range.h"
#include "core/team.h"
#include "core/transpose.h"
#include "lstmfast/threads.h"

namespace lstmfast {
namespace {

// A thread's part of a packing: less is done sooner than a thread that is awake has heard of it.
constexpr Index kPartBytes = 256 * 1024;
// Up to this size a packing (some 200 us) is not worth waking up a thread.
constexpr Index kBriefBytes = 4 << 20;

// Runs each(panel) for all panels of a packing of so many bytes, shared among threads.
template <class Each>
void for_panels(Index panels, Index bytes, Each&& each) {
  const Index most = std::min<Index>(get_num_threads(), panels);
  Team team(static_cast<int>(std::clamp<Index>(bytes / kPartBytes, 1, std::max<Index>(most, 1))), bytes < kBriefBytes);
  team.run([&](int rank) {
    const Range own = part_of(panels, rank, team.size());
    for (Index panel = own.begin; panel < own.end; ++panel) each(panel);
  });
}

}  // namespace

template <class T>
ForwardPacking<T>::ForwardPacking(const NetworkShape& shape, Index input_size, Index lanes,
                                  const PassParameters<const T>& weights)
    : layout_{shape.gates(), shape.hidden_size, lanes},
      input_size_(input_size),
      rows_(1 + input_size + shape.state_size()),
      memory_(checked_product({layout_.panels(), rows_, layout_.width()})) {
  const Index width = layout_.width(), state_size = shape.state_size(), units = layout_.units;
  for_panels(layout_.panels(), bytes(), [&](Index panel) {
    T* const to = memory_.data() + panel * rows_ * width;
    const Index first = panel * layout_.units_per_panel(), count = std::min(layout_.units_per_panel(), units - first);
    // Columns past the end are zero; only the last panel has any.
    if (layout_.groups * count < width) std::fill_n(to, rows_ * width, T(0));
    for (Index g = 0; g < layout_.groups; ++g) {
      const Index from = g * units + first;  // row of the unpacked matrices
      T* const column = to + layout_.column_of(g, first);
      for (Index u = 0; u < count; ++u)
        column[u] = weights.bias_ih ? weights.bias_ih[from + u] + weights.bias_hh[from + u] : T(0);
      transpose(weights.weight_ih + from * input_size, input_size, column + width, width, count, input_size);
      transpose(weights.weight_hh + from * state_size, state_size, column + (1 + input_size) * width, width, count,
                state_size);
    }
  });
}

namespace {

// Columns [first, first + columns) of the rows of a forward packing, as [panel][gate][unit][vector][lane].
template <class T>
Buffer<T> pack_columns(const ForwardPacking<T>& forward, Index first, Index columns) {
  const PanelLayout& source = forward.layout();
  const Index gates = source.groups, units = source.units, width = source.width();
  const PanelLayout layout = {1, columns, source.lanes};
  const Index panel_size = gates * units * width;
  Buffer<T> packed(checked_product({layout.panels(), panel_size}));
  for_panels(layout.panels(), packed.bytes(), [&](Index panel) {
    const Index begin = panel * width, count = std::min(width, columns - begin);
    T* const to = packed.data() + panel * panel_size;
    if (count < width) std::fill_n(to, panel_size, T(0));
    for (Index g = 0; g < gates; ++g)
      for (Index u = 0; u < units; u += source.units_per_panel()) {
        const Index units_here = std::min(source.units_per_panel(), units - u);
        transpose<T>(forward.row(g, u) + (first + begin) * width, width, to + (g * units + u) * width, width, count,
                     units_here);
      }
  });
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
