// The time loop of one layer and direction, for one thread's share of it.
#pragma once

#include <algorithm>

#include "core/forward_pass.h"
#include "core/packed.h"
#include "core/split.h"
#include "core/time.h"
#include "lstmfast/heuristics.h"

namespace lstmfast {

// Several steps' input products are made at once, so that a weight of W_ih that was read is used for all of them:
// - with too few rows to fill tiles: as many steps as give z the size of W_ih, but between these limits ...
inline constexpr Index kLeastMergedBytes = 64 * 1024;
inline constexpr Index kMostMergedBytes = 512 * 1024;
// - with weights that come from far away (heuristics.h): steps of so many rows altogether.
inline constexpr Index kMergedRows = 192;

template <class T>
class ForwardLoop {
 public:
  ForwardLoop(const typename Network<T>::Packed& packed, std::size_t pass)
      : packed_(packed),
        pass_(pass),
        kernels_(*packed.kernels),
        shape_(packed.shape),
        packing_(packed.forward[pass]),
        projection_(packed.projection(pass)),
        variant_(packed.variant_or_null()),
        peepholes_(packed.peepholes_at(pass)),
        heuristics_(heuristics_for(kernels_)) {}

  // How many steps' input products are made at once for so many rows and panels; 0: each step makes its own.
  Index merged_steps(Index steps, Index rows, Index panels) const {
    if (steps < 2 || rows == 0) return 0;
    const Index z_bytes = rows * panels * packing_.layout().width() * static_cast<Index>(sizeof(T));
    if (fills_no_tiles(rows)) {
      const Index input_bytes = z_bytes / rows * packing_.input_size();  // of W_ih in T, also where it is smaller
      const Index most = std::clamp(input_bytes, kLeastMergedBytes, kMostMergedBytes);
      return std::clamp<Index>(most / std::max<Index>(z_bytes, 1), 1, steps);
    }
    const Index merged = std::min(kMergedRows / rows, steps);
    const Index from = rows <= kFewRows ? heuristics_.merge_few_from : heuristics_.merge_from;
    return packing_.bytes() >= from && merged > 1 ? merged : 0;
  }

  // z: merged_steps() steps of this share's rows and panels. Threads that share rows have met after every step
  // but the last.
  void run(const Pass<T>& pass, const Share& share, Meeting& meeting, T* z) const {
    const Index rows = share.rows.size(), steps = pass.order.steps;
    if (steps == 0) return;
    const Index merged = merged_steps(steps, rows, share.panels.size());
    const Index terms = terms_of_row(share) * rows;
    ForwardStep<T> step = first_step(pass, share);
    Rows<T> state = {steps_from(pass.h, pass.order, 0, share.rows.begin).data, pass.h.row_stride, nullptr};
    for (Index s = 0, in_z = 0;; ++s) {
      if (meeting.is_over(terms)) step.rows = 0;
      if (merged && s == in_z) {
        const Index at_once = std::min(merged, steps - s);
        const Sequence<const T> x = steps_from(pass.x, pass.order, s, share.rows.begin);
        input_product({x, rows, nullptr}, at_once * step.rows, share, z);
        in_z += at_once;
        step.x = {};
        step.z = z;
        step.z_stride = z_row(share);
      }
      run_step(step, state, pass.m_of(share), share, meeting);
      if (shape_.zoneout > 0) {
        const Index t = pass.order.t(s), B = pass.rows, first = share.rows.begin;
        zone_out(step, state, share, [&](Index r) { return renewed_of(pass.renewed, t * B + first + r); });
      }
      if (s + 1 == steps) return;
      meeting.after_step(share);
      advance(pass, step, state);
    }
  }

  // A step of the share's sizes and panels, with no rows yet.
  ForwardStep<T> blank_step(const Share& share) const {
    ForwardStep<T> step = {};
    step.input_size = packing_.input_size();
    step.hidden_size = shape_.hidden_size;
    step.state_size = shape_.state_size();
    step.panel_begin = share.panels.begin;
    step.panel_end = share.panels.end;
    step.panels = packing_.panels();
    step.x_factors = packing_.x_factors();
    step.ask_from = heuristics_.ask_from;
    step.variant = variant_;
    step.peepholes = peepholes_;
    return step;
  }

  // The cell, whose rows are in `step`, and the projection of what it gives where there is one; the new h to `state`.
  // m: [rows, second_row]. addresses: [rows], room for some where rows are listed.
  void run_step(ForwardStep<T>& step, const Rows<T>& state, T* m, const Share& share, Meeting& meeting,
                T** addresses = nullptr) const {
    if (resets_before(shape_.cell)) return run_reset_before(step, state, m, share, meeting, addresses);
    if (is_norm(shape_.cell)) return run_norm(step, state, m, share, meeting);
    const bool has_work = step.rows > 0 && share.panels.size() > 0;
    const Index H = shape_.hidden_size;
    step.h_out = projection_ ? Rows<T>{m, H, nullptr} : state;
    if (has_work) kernels_.forward_step[static_cast<int>(shape_.cell)](step);
    if (!projection_) return;
    meeting.after_step(share);
    const Range panels = share.part_of_panels(projection_->layout().panels());
    if (step.rows == 0 || panels.size() == 0) return;
    const GateProduct<T> product = {step.rows,
                                    1,
                                    H,
                                    shape_.projection_size,
                                    panels.begin,
                                    panels.end,
                                    projection_->panels(),
                                    places_of<const T>(step.h_out, step.rows),
                                    places_of<T>(state, step.rows),
                                    false,
                                    heuristics_.ask_from};
    kernels_.gate_product(product);
  }

  // After a step with zoneout: what stays of the h before it, in this share's part of the new one. renewed(r): [S] of
  // row r; null: what is expected.
  template <class Renewed>
  void zone_out(const ForwardStep<T>& step, const Rows<T>& state, const Share& share, const Renewed& renewed) const {
    const bool whole_rows = is_norm(shape_.cell);
    const Range rows = whole_rows ? part_of(step.rows, share.panel_part, share.panel_parts) : Range{0, step.rows};
    const Range part = whole_rows ? Range{0, shape_.state_size()} : state_columns(share);
    const T stay = static_cast<T>(shape_.zoneout), change = static_cast<T>(1 - shape_.zoneout);
    for (Index r = rows.begin; r < rows.end; ++r) {
      const T* const before = step.h[r];
      T* const now = state[r];
      const bool* const is_new = renewed(r);
      if (is_new)
        for (Index n = part.begin; n < part.end; ++n) now[n] = is_new[n] ? now[n] : before[n];
      else
        for (Index n = part.begin; n < part.end; ++n) now[n] = stay * before[n] + change * now[n];
    }
  }
  const bool* renewed_of(const bool* renewed, Index place) const {
    return renewed ? renewed + place * shape_.state_size() : nullptr;
  }

  // Of gru_reset_before: r h, its product, and what is left.
  void run_reset_before(ForwardStep<T> step, const Rows<T>& state, T* m, const Share& share, Meeting& meeting,
                        T** addresses) const {
    const Index H = shape_.hidden_size, row = second_row(shape_);
    if (!step.gates.there()) step.gates = {m + H, row, nullptr};
    step.h_out = {m, row, nullptr};
    if (step.rows > 0 && share.panels.size() > 0) kernels_.forward_step[static_cast<int>(shape_.cell)](step);
    meeting.after_step(share);
    const PanelLayout& layout = projection_->layout();
    const Range panels = share.part_of_panels(layout.panels()), units = columns(panels, layout);
    if (step.rows == 0 || panels.size() == 0) return;
    add_candidate(step.h_out, step.gates, step.rows, panels, addresses);
    kernels_.candidate_step({step.rows, H, units.begin, units.end, variant_, as_const(step.gates), step.h, state});
  }

  // Of lstm_norm: both products by panels, and then whole rows.
  void run_norm(ForwardStep<T> step, const Rows<T>& state, T* m, const Share& share, Meeting& meeting) const {
    if (!step.gates.there()) step.gates = {m, second_row(shape_), nullptr};
    if (step.rows > 0 && share.panels.size() > 0) kernels_.forward_step[static_cast<int>(shape_.cell)](step);
    meeting.after_step(share);
    const Range own = part_of(step.rows, share.panel_part, share.panel_parts);
    if (own.size() == 0) return;
    const auto from = [&](auto rows) { return rows_from(rows, own.begin); };
    kernels_.norm_step({own.size(), shape_.hidden_size, packed_.norm_at(pass_), from(as_const(step.gates)),
                        from(step.c), from(step.c_out), from(state)});
  }

  // W_hn (r h) to n's sums among the gates.
  void add_candidate(const Rows<T>& reset, const Rows<T>& gates, Index rows, const Range& panels, T** addresses) const {
    const Index H = shape_.hidden_size;
    Rows<T> sums = {nullptr, 0, addresses};
    if (gates.listed)
      for (Index r = 0; r < rows; ++r) addresses[r] = gates.listed[r] + 2 * H;
    else
      sums = {gates.data + 2 * H, gates.stride, nullptr};
    kernels_.gate_product({rows, 1, H, H, panels.begin, panels.end, projection_->panels(),
                           places_of<const T>(reset, rows), places_of<T>(sums, rows), true, heuristics_.ask_from});
  }

  void input_product(const Places<const T>& x, Index rows, const Share& share, T* z) const {
    if (rows == 0 || share.panels.size() == 0) return;
    const InputProduct<T> product = {rows,
                                     packing_.input_size(),
                                     shape_.hidden_size,
                                     shape_.state_size(),
                                     share.panels.begin,
                                     share.panels.end,
                                     packing_.panels(),
                                     x,
                                     z,
                                     packing_.x_factors(),
                                     heuristics_.ask_from};
    kernels_.input_product[static_cast<int>(shape_.cell)](product);
  }

  bool zones_out() const { return shape_.zoneout > 0; }
  // Panels of a second product.
  Index second_panels() const { return projection_->layout().panels(); }

  // Multiply-adds of this share's part of a step, for each row.
  Index terms_of_row(const Share& share) const {
    return share.panels.size() * packing_.layout().width() * (packing_.input_size() + shape_.state_size());
  }

  Index z_row(const Share& share) const { return share.panels.size() * packing_.layout().width(); }

  // The numbers of h, and of c, that this share makes.
  Range state_columns(const Share& share) const {
    if (is_norm(shape_.cell)) return share.first_of_panels() ? Range{0, shape_.hidden_size} : Range{0, 0};
    return projection_ ? columns(share.part_of_panels(projection_->layout().panels()), projection_->layout())
                       : memory_columns(share);
  }
  Range memory_columns(const Share& share) const {
    return is_norm(shape_.cell) ? state_columns(share) : columns(share.panels, packing_.layout());
  }

  // Copies the state after the last step, these rows and columns of it, to h_n and c_n.
  void keep_last_state(const Pass<T>& pass, const Range& rows, const Range& of_h, const Range& of_c) const {
    const auto keep = [&](const StateView<T>& state, T* to, Index size, const Range& columns) {
      if (state.data == to) return;
      for (Index b = rows.begin; b < rows.end; ++b)
        std::copy(state.data + b * state.stride + columns.begin, state.data + b * state.stride + columns.end,
                  to + b * size + columns.begin);
    };
    const Index steps = pass.order.steps;
    keep(state_before(steps, pass.order, pass.h0, pass.h), pass.h_n, shape_.state_size(), of_h);
    if (pass.c_n) keep(state_before(steps, pass.order, pass.c0, pass.c), pass.c_n, shape_.hidden_size, of_c);
  }

 private:
  // Whether one tile does not keep the multiply-add units busy, nor do two halves (which takes four rows where a row
  // has four accumulators).
  bool fills_no_tiles(Index rows) const {
    const Index tile = kernels_.row_tile, busy = kernels_.busy_rows;
    return rows < busy || (tile < rows && rows < 2 * tile && rows / 2 < std::min<Index>(busy, 4));
  }

  static Range columns(const Range& panels, const PanelLayout& layout) {
    return {std::min(panels.begin * layout.units_per_panel(), layout.units),
            std::min(panels.end * layout.units_per_panel(), layout.units)};
  }

  ForwardStep<T> first_step(const Pass<T>& pass, const Share& share) const {
    const Index row = share.rows.begin;
    const auto start = [&](const auto& sequence) { return steps_from(sequence, pass.order, 0, row).data; };
    ForwardStep<T> step = blank_step(share);
    step.rows = share.rows.size();
    step.descending = pass.descends;
    step.x = {start(pass.x), pass.x.row_stride, nullptr};
    step.h = {pass.h0.data + row * pass.h0.stride, pass.h0.stride, nullptr};
    if (pass.c0.data) {
      step.c = {pass.c0.data + row * pass.c0.stride, pass.c0.stride, nullptr};
      step.c_out = {start(pass.c), pass.c.row_stride, nullptr};
    }
    if (pass.gates.data) step.gates = {start(pass.gates), pass.gates.row_stride, nullptr};
    return step;
  }

  // The step after `step`, whose results are its state.
  void advance(const Pass<T>& pass, ForwardStep<T>& step, Rows<T>& state) const {
    const Index on = pass.order.reverse ? -1 : 1;
    step.descending = !step.descending;
    if (step.x.data)
      step.x.data += on * pass.x.step_stride;
    else
      step.z += step.rows * step.z_stride;
    step.h = {state.data, state.stride, nullptr};
    state.data += on * pass.h.step_stride;
    if (step.c.data) {
      step.c = {step.c_out.data, step.c_out.stride, nullptr};
      step.c_out.data += on * pass.c.step_stride;
    }
    if (step.gates.data) step.gates.data += on * pass.gates.step_stride;
  }

  const typename Network<T>::Packed& packed_;
  const std::size_t pass_;
  const KernelTable<T>& kernels_;
  const NetworkShape& shape_;
  const ForwardPacking<T>& packing_;
  const ProjectionPacking<T>* const projection_;  // null without one
  const Variant<T>* const variant_;               // null for plain cells
  const T* const peepholes_;                      // [peepholes_of(cell), H]; null without
  const Heuristics heuristics_;
};

}  // namespace lstmfast
