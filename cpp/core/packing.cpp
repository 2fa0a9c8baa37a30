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
ForwardPacking<T>::ForwardPacking(const NetworkShape& shape, Index input_size, const KernelTable<T>& kernels,
                                  const PassParameters<const T>& weights)
    : layout_(forward_layout(shape, kernels)),
      input_size_(input_size),
      rows_(1 + input_size + shape.state_size()),
      memory_(checked_product({layout_.panels(), rows_, layout_.width()})) {
  const Index state_size = shape.state_size(), stride = layout_.strip_width(), units = layout_.units;
  for_panels(layout_.panels(), bytes(), [&](Index panel) {
    const Index panel_size = rows_ * layout_.width(), begin = panel * layout_.units_per_panel();
    const Index end = std::min(begin + layout_.units_per_panel(), units);
    // Columns past the end are zero, which only the last panel has; and so are slots without weights.
    if (layout_.groups * (end - begin) < layout_.width() || !shape.shares_slots())
      std::fill_n(memory_.data() + panel * panel_size, panel_size, T(0));
    for (Index g = 0; g < layout_.groups; ++g)
      for (Index first = begin, count; first < end; first += count) {
        count = std::min(layout_.side_by_side(first), end - first);
        const Index of_x = gate_of_x(shape.cell, g), of_h = gate_of_h(shape.cell, g);  // less than 0: none
        T* const to = row(g, first);
        for (Index u = 0; u < count; ++u) to[u] = slot_bias(shape.cell, g, units, first + u, weights);
        if (of_x >= 0)
          transpose(weights.weight_ih + (weights.first_row(of_x, units) + first) * input_size, input_size, to + stride,
                    stride, count, input_size);
        if (of_h >= 0)
          transpose(weights.weight_hh + (weights.first_row(of_h, units) + first) * state_size, state_size,
                    to + (1 + input_size) * stride, stride, count, state_size);
      }
  });
}

namespace {

// Columns [first, first + columns) of the rows of a forward packing, as [panel][strip][gate][unit][vector][lane]; of so
// many gates, whose slots are those from first_slot on.
template <class T>
Buffer<T> pack_columns(const ForwardPacking<T>& forward, Index first_slot, Index gates, Index first, Index columns) {
  const PanelLayout& source = forward.layout();
  const Index units = source.units, stride = source.strip_width();
  const PanelLayout layout = {1, columns, source.lanes, source.strip};
  const Index rows = gates * units, panel_size = rows * layout.width();
  Buffer<T> packed(checked_product({layout.panels(), panel_size}));
  for_panels(layout.panels(), packed.bytes(), [&](Index panel) {
    const Index begin = panel * layout.width(), end = std::min(begin + layout.width(), columns);
    if (end - begin < layout.width()) std::fill_n(packed.data() + panel * panel_size, panel_size, T(0));
    for (Index column = begin, count; column < end; column += count) {
      count = std::min(layout.side_by_side(column), end - column);
      T* const to = packed.data() + layout.offset_of(0, column, rows);
      for (Index g = 0; g < gates; ++g)
        for (Index u = 0, here; u < units; u += here) {
          here = std::min(source.side_by_side(u), units - u);
          transpose<T>(forward.row(first_slot + g, u) + (first + column) * stride, stride,
                       to + (g * units + u) * stride, stride, count, here);
        }
    }
  });
  return packed;
}

// Strips [term][vector][lane] of a matrix; copy(first, count, to, stride) writes columns [first, first + count), whose
// rows are `stride` apart.
template <class T, class Copy>
Buffer<T> pack_matrix(Index terms, const PanelLayout& layout, const Copy& copy) {
  Buffer<T> packed(checked_product({layout.panels(), terms, layout.width()}));
  for_panels(layout.panels(), packed.bytes(), [&](Index panel) {
    const Index panel_size = terms * layout.width(), begin = panel * layout.width();
    const Index end = std::min(begin + layout.width(), layout.units);
    if (end - begin < layout.width()) std::fill_n(packed.data() + panel * panel_size, panel_size, T(0));
    for (Index first = begin, count; first < end; first += count) {
      count = std::min(layout.side_by_side(first), end - first);
      copy(first, count, packed.data() + layout.offset_of(0, first, terms), layout.strip_width());
    }
  });
  return packed;
}

template <class T>
PanelLayout plain_layout(Index columns, const KernelTable<T>& kernels) {
  return {1, columns, kernels.lanes, kernels.strip};
}

}  // namespace

template <class T>
Buffer<T> packed_transpose(const T* matrix, Index columns, Index terms, const KernelTable<T>& kernels) {
  return pack_matrix<T>(terms, plain_layout(columns, kernels), [&](Index first, Index count, T* to, Index stride) {
    transpose(matrix + first * terms, terms, to, stride, count, terms);
  });
}

template <class T>
Buffer<T> packed_rows(const T* matrix, Index terms, Index columns, const KernelTable<T>& kernels) {
  return pack_matrix<T>(terms, plain_layout(columns, kernels), [&](Index first, Index count, T* to, Index stride) {
    for (Index k = 0; k < terms; ++k) std::copy_n(matrix + k * columns + first, count, to + k * stride);
  });
}

template <class T>
ProjectionPacking<T>::ProjectionPacking(const NetworkShape& shape, const KernelTable<T>& kernels,
                                        const PassParameters<const T>& weights)
    : layout_(plain_layout(shape.second_product(), kernels)),
      terms_(shape.hidden_size),
      memory_(packed_transpose(second_weight(shape, weights), layout_.units, terms_, kernels)) {}

template <class T>
BackwardPacking<T>::BackwardPacking(const ForwardPacking<T>& forward, Cell cell, const ProjectionPacking<T>* projection)
    : input_(pack_columns(forward, first_slot_of_x(cell), gates_of(cell), 1, forward.input_size())),
      hidden_(pack_columns(forward, first_slot_of_h(cell), slots_of_h(cell), 1 + forward.input_size(),
                           forward.state_size())) {
  if (!projection) return;
  const PanelLayout& source = forward.layout();
  const PanelLayout layout = {1, source.units, source.lanes, source.strip};
  projection_ = pack_matrix<T>(projection->layout().units, layout, [&](Index first, Index count, T* to, Index stride) {
    for (Index k = 0; k < projection->layout().units; ++k)
      for (Index c = 0; c < count; ++c) to[k * stride + c] = projection->at(k, first + c);
  });
}

template class ForwardPacking<float>;
template class ForwardPacking<double>;
template class ProjectionPacking<float>;
template class ProjectionPacking<double>;
template class BackwardPacking<float>;
template class BackwardPacking<double>;
template Buffer<float> packed_transpose(const float*, Index, Index, const KernelTable<float>&);
template Buffer<double> packed_transpose(const double*, Index, Index, const KernelTable<double>&);
template Buffer<float> packed_rows(const float*, Index, Index, const KernelTable<float>&);
template Buffer<double> packed_rows(const double*, Index, Index, const KernelTable<double>&);

}  // namespace lstmfast
