// The time loop of one layer and direction, for one thread's share of it.
#pragma once

#include <algorithm>

#include "core/packing.h"
#include "core/split.h"
#include "core/time.h"

namespace lstmfast {

// Several steps' input products are made at once, so that a weight of W_ih that was read is used for all of them:
// - with too few rows to fill tiles: as many steps as give z the size of W_ih, but between these limits ...
inline constexpr Index kLeastMergedBytes = 64 * 1024;
inline constexpr Index kMostMergedBytes = 512 * 1024;
// - with weights of kLargeWeightBytes or more: steps of so many rows altogether.
inline constexpr Index kMergedRows = 192;

// One direction of one layer: all that its time loop reads and writes.
template <class T>
struct Pass {
  TimeOrder order;
  bool descends;        // how the first step walks the panels; each other way round than the one before
  Sequence<const T> x;  // [T, B, layer_input]
  StateView<T> h0;      // [B, H]; may be h_n's memory
  Sequence<T> h;        // [T, B, H], the layer's output
  Sequence<T> c;        // [T, B, H]; in inference all steps are one [B, H]
  StateView<T> c0;      // [B, H]; may be c_n's memory
  Sequence<T> gates;    // [T, B, G*H]; data null in inference
  T* h_n;               // [B, H]
  T* c_n;               // [B, H]; may be c's memory; null for cells without it
};

template <class T>
class ForwardLoop {
 public:
  ForwardLoop(const KernelTable<T>& kernels, Cell cell, const ForwardPacking<T>& packing, Index hidden_size)
      : kernels_(kernels), cell_(static_cast<int>(cell)), packing_(packing), hidden_size_(hidden_size) {}

  // How many steps' input products are made at once for so many rows and panels; 0: each step makes its own.
  Index merged_steps(Index steps, Index rows, Index panels) const {
    if (steps < 2 || rows == 0) return 0;
    const Index z_bytes = rows * panels * packing_.layout().width() * static_cast<Index>(sizeof(T));
    if (fills_no_tiles(rows)) {
      const Index weight_bytes = z_bytes / rows * packing_.input_size();
      const Index most = std::clamp(weight_bytes, kLeastMergedBytes, kMostMergedBytes);
      return std::clamp<Index>(most / std::max<Index>(z_bytes, 1), 1, steps);
    }
    const Index merged = std::min(kMergedRows / rows, steps);
    return packing_.bytes() >= kLargeWeightBytes && merged > 1 ? merged : 0;
  }

  // z: merged_steps() steps of this share's rows and panels. Threads that share rows have met after every step
  // but the last.
  void run(const Pass<T>& pass, const Share& share, Meeting& meeting, T* z) const {
    const Index rows = share.rows.size(), steps = pass.order.steps;
    if (steps == 0) return;
    const Index z_row = share.panels.size() * packing_.layout().width();
    const Index merged = merged_steps(steps, rows, share.panels.size());
    const bool has_work = rows > 0 && share.panels.size() > 0;
    ForwardStep<T> step = first_step(pass, share);
    for (Index s = 0, in_z = 0;; ++s) {
      if (merged && s == in_z) {
        const Index at_once = std::min(merged, steps - s);
        input_products(pass, share, s, at_once, z);
        in_z += at_once;
        step.x = nullptr;
        step.z = z;
        step.z_stride = z_row;
      }
      if (has_work) kernels_.forward_step[cell_](step);
      if (s + 1 == steps) return;
      meeting.after_step(share);
      advance(pass, step);
    }
  }

  // Copies the state after the last step to h_n and c_n.
  void keep_last_state(const Pass<T>& pass, const Range& rows, const Range& panels) const {
    const Index first = panels.begin * packing_.layout().units_per_panel();
    const Index end = std::min(panels.end * packing_.layout().units_per_panel(), hidden_size_);
    const auto keep = [&](const StateView<T>& state, T* to) {
      if (state.data == to) return;
      for (Index b = rows.begin; b < rows.end; ++b)
        std::copy(state.data + b * state.stride + first, state.data + b * state.stride + end,
                  to + b * hidden_size_ + first);
    };
    const Index steps = pass.order.steps;
    keep(state_before(steps, pass.order, pass.h0, pass.h), pass.h_n);
    if (pass.c_n) keep(state_before(steps, pass.order, pass.c0, pass.c), pass.c_n);
  }

 private:
  // One tile that is not full, or two halves of which neither is, nor keeps the multiply-add units busy (which
  // takes four rows: 16 accumulators).
  bool fills_no_tiles(Index rows) const {
    const Index tile = kernels_.row_tile;
    return rows < tile || (tile < rows && rows < 2 * tile && rows / 2 < std::min<Index>(tile, 4));
  }

  void input_products(const Pass<T>& pass, const Share& share, Index s, Index steps, T* z) const {
    const InputProduct<T> product = {steps,
                                     share.rows.size(),
                                     packing_.input_size(),
                                     hidden_size_,
                                     share.panels.begin,
                                     share.panels.end,
                                     packing_.panels(),
                                     steps_from(pass.x, pass.order, s, share.rows.begin),
                                     time_major(z, share.rows.size(), share.panels.size() * packing_.layout().width())};
    kernels_.input_product[cell_](product);
  }

  ForwardStep<T> first_step(const Pass<T>& pass, const Share& share) const {
    const Index row = share.rows.begin;
    const auto start = [&](const auto& sequence) { return steps_from(sequence, pass.order, 0, row).data; };
    ForwardStep<T> step = {};
    step.rows = share.rows.size();
    step.input_size = packing_.input_size();
    step.hidden_size = hidden_size_;
    step.panel_begin = share.panels.begin;
    step.panel_end = share.panels.end;
    step.descending = pass.descends;
    step.panels = packing_.panels();
    step.x = start(pass.x);
    step.x_stride = pass.x.row_stride;
    step.h = pass.h0.data + row * pass.h0.stride;
    step.h_stride = pass.h0.stride;
    step.h_out = start(pass.h);
    step.h_out_stride = pass.h.row_stride;
    if (pass.c0.data) {
      step.c = pass.c0.data + row * pass.c0.stride;
      step.c_stride = pass.c0.stride;
      step.c_out = start(pass.c);
      step.c_out_stride = pass.c.row_stride;
    }
    if (pass.gates.data) {
      step.gates = start(pass.gates);
      step.gates_stride = pass.gates.row_stride;
    }
    return step;
  }

  // The step after `step`, whose results are its state.
  void advance(const Pass<T>& pass, ForwardStep<T>& step) const {
    const Index on = pass.order.reverse ? -1 : 1;
    step.descending = !step.descending;
    if (step.x)
      step.x += on * pass.x.step_stride;
    else
      step.z += step.rows * step.z_stride;
    step.h = step.h_out;
    step.h_stride = step.h_out_stride;
    step.h_out += on * pass.h.step_stride;
    if (step.c) {
      step.c = step.c_out;
      step.c_stride = step.c_out_stride;
      step.c_out += on * pass.c.step_stride;
    }
    if (step.gates) step.gates += on * pass.gates.step_stride;
  }

  const KernelTable<T>& kernels_;
  const int cell_;
  const ForwardPacking<T>& packing_;
  const Index hidden_size_;
};

}  // namespace lstmfast
