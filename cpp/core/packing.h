// Weights in the order in which the kernels read them. See kernel_table.h for the panels.
#pragma once

#include <type_traits>
#include <utility>

#include "core/buffer.h"
#include "lstmfast/kernel_table.h"
#include "lstmfast/network.h"

namespace lstmfast {

// Where columns of a matrix with G column groups of `units` each lie in panels of kPanelVectors vectors:
// unit u of group g. With G = 1 a panel holds four blocks of units, else all gates of one block, each in a vector.
struct PanelLayout {
  Index groups;
  Index units;
  Index lanes;
  Index strip = kPanelVectors;  // vectors that lie side by side
  bool close = true;            // whether gates of a last panel that is not full move together

  Index width() const { return kPanelVectors * lanes; }
  // Between the rows of a strip, of which a panel is some, one after the other.
  Index strip_width() const { return strip * lanes; }
  Index units_per_panel() const { return groups > 1 ? lanes : width(); }
  Index panels() const { return (units + units_per_panel() - 1) / units_per_panel(); }
  Index panel_of(Index unit) const { return unit / units_per_panel(); }
  // Within a row of the panel.
  Index column_of(Index group, Index unit) const {
    const Index in_panel = unit % units_per_panel();
    if (groups > 1) return group * (close ? gate_distance(units - (unit - in_panel), lanes) : lanes) + in_panel;
    return in_panel;
  }
  // Where a column begins, in panels whose strips have so many rows.
  Index offset_of(Index group, Index unit, Index rows) const {
    const Index column = column_of(group, unit);
    return (panel_of(unit) * width() + column - column % strip_width()) * rows + column % strip_width();
  }
  // Units [unit, unit + n) of a group lie side by side for this n, or more than there are.
  Index side_by_side(Index unit) const {
    const Index most = groups > 1 ? lanes : strip_width();
    return most - unit % most;
  }
};

// What the sum in a slot of a unit begins with. bias: as PassParameters have them, null for none.
template <class Parameters>
auto slot_bias(Cell cell, Index slot, Index units, Index unit, const Parameters& weights) {
  // Where r comes before the product, n has one sum and so both biases.
  if (is_norm(cell)) return std::remove_cv_t<std::remove_reference_t<decltype(weights.bias_ih[0])>>(0);  // added later
  const Index of_x = gate_of_x(cell, slot), of_h = resets_before(cell) ? slot : gate_of_h(cell, slot);
  using T = std::remove_cv_t<std::remove_reference_t<decltype(weights.bias_ih[0])>>;
  if (!weights.bias_ih) return T(0);
  const auto row = [&](Index gate) { return weights.first_row(gate, units) + unit; };
  if (of_x < 0) return T(weights.bias_hh[row(of_h)]);
  if (of_h < 0) return T(weights.bias_ih[row(of_x)]);
  return T(weights.bias_ih[row(of_x)] + weights.bias_hh[row(of_h)]);
}

// Of a forward packing.
template <class T>
PanelLayout forward_layout(const NetworkShape& shape, const KernelTable<T>& kernels) {
  return {shape.slots(), shape.hidden_size, kernels.lanes, kernels.strip, shape.shares_slots()};
}

// A plain matrix for KernelTable::gate_product with one "gate": strips [term][vector][lane], of [columns, terms] or of
// [terms, columns] as it lies in memory.
template <class T>
Buffer<T> packed_transpose(const T* matrix, Index columns, Index terms, const KernelTable<T>& kernels);
template <class T>
Buffer<T> packed_rows(const T* matrix, Index terms, Index columns, const KernelTable<T>& kernels);

// One pass packed for the forward kernels: strips [1 + I + S][vector][lane] of [b_ih + b_hh; W_ih^T; W_hh^T]; or of
// smaller weights, packed by small_packing.h.
template <class T>
class ForwardPacking {
 public:
  ForwardPacking(const NetworkShape& shape, Index input_size, const KernelTable<T>& kernels,
                 const PassParameters<const T>& weights);
  // Packed already. x_factors: [I], or empty.
  ForwardPacking(const PanelLayout& layout, Index input_size, Index state_size, Buffer<T> memory, Buffer<T> x_factors)
      : layout_(layout),
        input_size_(input_size),
        rows_(1 + input_size + state_size),
        memory_(std::move(memory)),
        x_factors_(std::move(x_factors)) {}

  const void* panels() const { return memory_.data(); }
  Index bytes() const { return memory_.bytes(); }
  const PanelLayout& layout() const { return layout_; }
  Index input_size() const { return input_size_; }
  Index state_size() const { return rows_ - 1 - input_size_; }
  // [I], what int8 kernels multiply x by; null for none.
  const T* x_factors() const { return x_factors_.data(); }
  // Of weights of T: where row (slot, unit) of [b, W_ih, W_hh] begins; its elements are layout().strip_width() apart.
  T* row(Index slot, Index unit) const { return memory_.data() + layout_.offset_of(slot, unit, rows_); }

 private:
  PanelLayout layout_;
  Index input_size_;
  Index rows_;
  Buffer<T> memory_;
  Buffer<T> x_factors_;
};

// What a step's second product multiplies with (NetworkShape::second_product), W_hr or W_hn: strips
// [unit][vector][lane] over its rows.
template <class T>
class ProjectionPacking {
 public:
  ProjectionPacking(const NetworkShape& shape, const KernelTable<T>& kernels, const PassParameters<const T>& weights);
  // Packed already.
  ProjectionPacking(const PanelLayout& layout, Index hidden_size, Buffer<T> memory)
      : layout_(layout), terms_(hidden_size), memory_(std::move(memory)) {}

  const void* panels() const { return memory_.data(); }
  // The weight, [columns, H], as packed, of weights of T.
  T at(Index column, Index unit) const {
    return memory_.data()[layout_.offset_of(0, column, terms_) + unit * layout_.strip_width()];
  }
  const PanelLayout& layout() const { return layout_; }

 private:
  PanelLayout layout_;
  Index terms_;  // H
  Buffer<T> memory_;
};

// Where it is among a pass's weights.
template <class T>
const T* second_weight(const NetworkShape& shape, const PassParameters<const T>& weights) {
  const Index H = shape.hidden_size;
  return resets_before(shape.cell) ? weights.weight_hh + weights.first_row(2, H) * H : weights.weight_hr;
}

// The weights of one pass packed for the backward kernels: strips [gate][unit][vector][lane] over columns.
template <class T>
class BackwardPacking {
 public:
  // projection: null without one.
  BackwardPacking(const ForwardPacking<T>& forward, Cell cell, const ProjectionPacking<T>* projection);

  const T* input_panels() const { return input_.data(); }            // W_ih, for dx
  const T* hidden_panels() const { return hidden_.data(); }          // W_hh, for dh
  const T* projection_panels() const { return projection_.data(); }  // W_hr or W_hn, for the gradient of its input

 private:
  Buffer<T> input_;
  Buffer<T> hidden_;
  Buffer<T> projection_;
};

}  // namespace lstmfast
