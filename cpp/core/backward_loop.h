// The time loop backwards of one layer and direction, for one thread's share of it and a chunk of its steps.
#pragma once

#include <algorithm>

#include "core/backward_pass.h"
#include "core/split.h"
#include "core/time.h"
#include "lstmfast/heuristics.h"

namespace lstmfast {

template <class T>
class BackwardLoop {
 public:
  // zeros: [H].
  BackwardLoop(const NetworkShape& shape, const KernelTable<T>& kernels, const RowPlan& plan, const T* zeros,
               const BackwardPass<T>& pass, const Share& share, const Members& members, BackwardLists<T>& lists)
      : shape_(shape),
        kernels_(kernels),
        plan_(plan),
        zeros_(zeros),
        pass_(pass),
        share_(share),
        members_(members),
        lists_(lists),
        state_panels_(shape.projection_size
                          ? share.part_of_panels(PanelLayout{1, shape.projection_size, kernels.lanes}.panels())
                          : share.panels) {}

  // dh and dc start as the gradient of the last state.
  void load_state_gradient(Meeting& meeting) const {
    if (share_.first_of_panels())
      for (Index k = 0; k < members_.count(); ++k) {
        const Index b = members_.row(k), S = shape_.state_size(), H = shape_.hidden_size;
        copy_or_zero(pass_.dh_n, b, S, pass_.dh);
        if (pass_.dc) copy_or_zero(pass_.dc_n, b, H, pass_.dc);
        if (pass_.dcut_h) copy_or_zero(nullptr, b, S, pass_.dcut_h);
        if (pass_.dcut_c) copy_or_zero(nullptr, b, H, pass_.dcut_c);
      }
    meeting.after_step(share_);
  }

  // dz of the chunk's steps, the last first; dh and dc become the gradient of the state before the first.
  void run(const BackwardChunk<T>& chunk, Meeting& meeting) {
    const Index row_terms = share_.panels.size() * width() * slots_of_h(shape_.cell) * state_stride();
    for (Index s = chunk.steps.end; s-- > chunk.steps.begin;) {
      is_over_ = meeting.is_over(row_terms * members_.active(t(s)));
      const RowGroups groups = group_rows(chunk, s);
      if (shape_.projection_size || zoned()) {
        to_output(chunk, s, groups.given, true);
        to_output(chunk, s, groups.going, false);
        const RowSet all = active_rows(s, lists_.given.data());
        if (zoned()) through_zoneout(chunk, s, all);
        meeting.after_step(share_);
        if (shape_.projection_size) to_projected(chunk, s, all);
        through_cell(chunk, s, all, true);
      } else {
        through_cell(chunk, s, groups.given, true);
        through_cell(chunk, s, groups.going, false);
      }
      if (resets_before(shape_.cell)) {
        meeting.after_step(share_);
        through_reset(chunk, s, active_rows(s, lists_.given.data()));
      }
      if (is_norm(shape_.cell)) {
        meeting.after_step(share_);
        through_norm(chunk, s, active_rows(s, lists_.given.data()));
      }
      if (zoned()) past_zoneout(chunk, active_rows(s, lists_.given.data()));
      meeting.after_step(share_);
      to_state_before(chunk, s);
    }
  }

 private:
  // Rows of a step by where the gradient of the state after it comes from.
  struct RowGroups {
    RowSet given;  // from pass.dh: their last step, or the chunk's; or nothing comes, for they were cut after it
    RowSet going;  // from dz of the step after it
  };

  static void copy_or_zero(const T* from, Index row, Index size, T* to) {
    if (from)
      std::copy_n(from + row * size, size, to + row * size);
    else
      std::fill_n(to + row * size, size, T(0));
  }

  Index t(Index s) const { return pass_.order.t(s); }
  // How many rows take part in a step: none once the call has been given up.
  Index active(Index s) const { return is_over_ ? 0 : members_.active(t(s)); }
  Index state_stride() const { return shape_.state_size(); }

  // The rows that take part in a step.
  RowSet active_rows(Index s, Index* scratch) const {
    const Index count = active(s);
    if (plan_.plain()) return {count, members_.row(0), nullptr};
    for (Index k = 0; k < count; ++k) scratch[k] = members_.row(k);
    return {count, 0, scratch};
  }

  RowGroups group_rows(const BackwardChunk<T>& chunk, Index s) const {
    const bool chunk_ends = s + 1 == chunk.steps.end;
    if (plan_.plain()) {
      const RowSet all = active_rows(s, nullptr), none = {};
      return chunk_ends ? RowGroups{all, none} : RowGroups{none, all};
    }
    Index* const given = lists_.given.data();
    Index* const going = lists_.going.data();
    Index givens = 0, goings = 0;
    for (Index k = 0; k < active(s); ++k) {
      const Index b = members_.row(k);
      const bool cut = is_cut_after(s, b);
      if (cut && pass_.dc) fill_zero(pass_.dc + b * shape_.hidden_size, share_.panels, shape_.hidden_size);
      if (cut || chunk_ends || !has_next(s, b)) {
        lists_.dh.data()[givens] = cut ? zeros_ : pass_.dh + b * state_stride();
        given[givens++] = b;
      } else {
        going[goings++] = b;
      }
    }
    return {{givens, 0, given}, {goings, 0, going}};
  }

  bool has_next(Index s, Index row) const { return s + 1 < pass_.order.steps && t(s + 1) < plan_.length(row); }
  bool is_cut_after(Index s, Index row) const {
    return has_next(s, row) && plan_.start(pass_.order, s + 1, row) == Start::cut;
  }

  // dh of given rows, [rows, S].
  Rows<const T> given_dh(const RowSet& rows) const {
    if (rows.listed) return {nullptr, 0, lists_.dh.data()};
    return {pass_.dh + rows.first * state_stride(), state_stride(), nullptr};
  }

  // Through the cell to dz, from dh (of what was projected, where there is a projection) or dz of the next step.
  void through_cell(const BackwardChunk<T>& chunk, Index s, const RowSet& rows, bool given) const {
    if (rows.count == 0 || share_.panels.size() == 0) return;
    const Index H = shape_.hidden_size, k = s - chunk.steps.begin;
    const bool projected = shape_.projection_size > 0;
    if (pass_.dc_y.data)
      for (Index r = 0; r < rows.count; ++r)
        add(pass_.dc_y.at(t(s), rows[r]), share_.panels, H, pass_.dc + rows[r] * H);
    BackwardStep<T> step = {};
    step.rows = rows.count;
    step.hidden_size = H;
    step.panel_begin = share_.panels.begin;
    step.panel_end = share_.panels.end;
    step.descending = s % 2 == 1;
    step.panels = pass_.packing->hidden_panels();
    if (projected)
      step.dh = rows_of<const T>({chunk.dm, 0, H}, 0, rows, lists_.dh.data());
    else if (zoned())
      step.dh = rows_of(as_const(chunk.dh), k, rows, lists_.dh.data());
    else if (given)
      step.dh = given_dh(rows);
    else
      step.dz_next = rows_of(dz_of_state(chunk), k + 1, rows, lists_.dz_next.data());
    if (reads_state(shape_.cell)) {
      step.h = h_before(s, rows);
      step.carry = rows_of<T>({pass_.dh, 0, H}, 0, rows, lists_.carry.data());
    }
    if (pass_.dy.data && !projected && !zoned()) step.dy = rows_of(pass_.dy, t(s), rows, lists_.dy.data());
    if (chunk.gates.data || pass_.gates.data) step.gates = gates_of(chunk, s, rows);
    if (pass_.dc) {
      step.c_out = rows_of(pass_.c, t(s), rows, lists_.c_out.data());
      step.c = c_before(s, rows);
      step.dc = rows_of<T>({pass_.dc, 0, H}, 0, rows, lists_.dc.data());
    } else {
      step.h_out = rows_of(pass_.h, t(s), rows, lists_.h_out.data());
    }
    step.dz = rows_of(chunk.dz, k, rows, lists_.dz.data());
    step.ask_from = ask_from_;
    step.variant = pass_.variant;
    step.peepholes = pass_.peepholes;
    if (shape_.second_product()) step.m = rows_of(chunk.m, k, rows, lists_.m.data());
    if (is_norm(shape_.cell)) step.m = rows_of<T>({chunk.dm, 0, H}, 0, rows, lists_.m.data());
    kernels_.backward_step[static_cast<int>(shape_.cell)](step);
  }

  // Of gru_reset_before: from dz of n through W_hn to r, and past it to the state before.
  void through_reset(const BackwardChunk<T>& chunk, Index s, const RowSet& rows) const {
    if (rows.count == 0 || share_.panels.size() == 0) return;
    const Index H = shape_.hidden_size, k = s - chunk.steps.begin;
    const Rows<T> dreset = rows_of<T>({chunk.dm, 0, H}, 0, rows, lists_.state.data());
    const Rows<const T> dz_n = rows_of(as_const(features_from(chunk.dz, 2 * H)), k, rows, lists_.dz_next.data());
    kernels_.gate_product({rows.count, 1, H, H, share_.panels.begin, share_.panels.end,
                           pass_.packing->projection_panels(), places_of<const T>(dz_n, rows.count),
                           places_of<T>(dreset, rows.count), false, ask_from_});
    CandidateBackward<T> step = {};
    step.rows = rows.count;
    step.hidden_size = H;
    step.begin = std::min(share_.panels.begin * width(), H);
    step.end = std::min(share_.panels.end * width(), H);
    step.variant = pass_.variant;
    step.gates = gates_of(chunk, s, rows);
    step.h = h_before(s, rows);
    step.dreset = {dreset.data, dreset.stride, dreset.listed};
    step.carry = rows_of<T>({pass_.dh, 0, H}, 0, rows, lists_.carry.data());
    step.dz = rows_of(chunk.dz, k, rows, lists_.dz.data());
    kernels_.candidate_backward(step);
  }

  // Of lstm_norm: from all that arrives at h to dz, of whole rows.
  void through_norm(const BackwardChunk<T>& chunk, Index s, const RowSet& rows) const {
    const Range own = part_of(rows.count, share_.panel_part, share_.panel_parts);
    if (own.size() == 0) return;
    const Index H = shape_.hidden_size, k = s - chunk.steps.begin;
    const auto from = [&](auto all) { return rows_from(all, own.begin); };
    NormBackward<T> step = {};
    step.rows = own.size();
    step.hidden_size = H;
    step.norm = pass_.norm;
    step.gates = from(gates_of(chunk, s, rows));
    step.dh = from(rows_of<const T>({chunk.dm, 0, H}, 0, rows, lists_.dh.data()));
    step.c_out = from(rows_of(pass_.c, t(s), rows, lists_.c_out.data()));
    step.c = from(c_before(s, rows));
    step.dc = from(rows_of<T>({pass_.dc, 0, H}, 0, rows, lists_.dc.data()));
    step.dz = from(rows_of(chunk.dz, k, rows, lists_.dz.data()));
    kernels_.norm_backward(step);
  }

  // Of dz, the slots that the state has a part in.
  Sequence<const T> dz_of_state(const BackwardChunk<T>& chunk) const {
    return as_const(features_from(chunk.dz, first_dz_of_h(shape_.cell) * shape_.hidden_size));
  }

  // The gates of a step, computed again for the chunk or kept.
  auto gates_of(const BackwardChunk<T>& chunk, Index s, const RowSet& rows) const {
    return chunk.gates.data ? rows_of(chunk.gates, s - chunk.steps.begin, rows, lists_.gates.data())
                            : rows_of(pass_.gates, t(s), rows, lists_.gates.data());
  }

  Rows<const T> h_before(Index s, const RowSet& rows) const {
    const Index S = state_stride();
    return before(s, rows, pass_.h0, S, pass_.h, lists_.h.data(),
                  [&](Index row, Start start) { return pass_.h_before(t(s), row, start, S); });
  }

  Rows<const T> c_before(Index s, const RowSet& rows) const {
    const Index H = shape_.hidden_size;
    return before(s, rows, pass_.c0, H, pass_.c, lists_.c.data(),
                  [&](Index row, Start start) { return pass_.c_before(t(s), row, start, H); });
  }

  // h or c of rows before step s, in `list` where they are listed; initial: [B, size]; of_row(row, start): of one.
  template <class OfRow>
  Rows<const T> before(Index s, const RowSet& rows, const T* initial, Index size, const Sequence<const T>& sequence,
                       const T** list, OfRow&& of_row) const {
    if (!rows.listed)
      return s == 0 ? Rows<const T>{initial + rows.first * size, size, nullptr}
                    : Rows<const T>{sequence.at(t(s - 1), rows.first), sequence.row_stride, nullptr};
    for (Index k = 0; k < rows.count; ++k) list[k] = of_row(rows[k], plan_.start(pass_.order, s, rows[k]));
    return {nullptr, 0, list};
  }

  // dh = dy + what arrives, of what the projection gave.
  void to_output(const BackwardChunk<T>& chunk, Index s, const RowSet& rows, bool given) const {
    if (rows.count == 0 || state_panels_.size() == 0) return;
    const Index S = state_stride(), k = s - chunk.steps.begin;
    const Index first = state_panels_.begin * width(), end = std::min(state_panels_.end * width(), S);
    for (Index r = 0; r < rows.count; ++r) {
      const T* const dy = pass_.dy.data ? pass_.dy.at(t(s), rows[r]) : zeros_;
      // What goes past a step with zoneout is where the gradient of the state before it will be.
      const T* const dh = given ? given_dh(rows)[r] : zoned() ? pass_.dh + rows[r] * S : zeros_;
      T* const to = chunk.dh.at(k, rows[r]);
      for (Index n = first; n < end; ++n) to[n] = dy[n] + dh[n];
    }
    if (!given)
      state_product(rows_of(dz_of_state(chunk), k + 1, rows, lists_.dz_next.data()),
                    rows_of(chunk.dh, k, rows, lists_.state.data()), rows.count, true);
  }

  bool zoned() const { return shape_.zoneout > 0; }
  // Whether a step leaves in pass.dh what goes to the state before it past the products.
  bool carries() const { return reads_state(shape_.cell) || zoned(); }

  // dh in two: where the step renewed h, and what stayed.
  void through_zoneout(const BackwardChunk<T>& chunk, Index s, const RowSet& rows) const {
    const T stay = static_cast<T>(shape_.zoneout), change = static_cast<T>(1 - shape_.zoneout);
    const Index S = state_stride(), k = s - chunk.steps.begin, first = std::min(state_panels_.begin * width(), S);
    for (Index r = 0; r < rows.count; ++r) {
      const bool* const renewed =
          pass_.renewed ? pass_.renewed + plan_.stored_at(t(s), rows[r], pass_.rows) * S : nullptr;
      T* const dh = chunk.dh.at(k, rows[r]);
      T* const passed = chunk.passed + rows[r] * S;
      for (Index n = first; n < std::min(state_panels_.end * width(), S); ++n) {
        passed[n] = !renewed ? stay * dh[n] : renewed[n] ? T(0) : dh[n];
        dh[n] = !renewed ? change * dh[n] : renewed[n] ? dh[n] : T(0);
      }
    }
  }

  // What stayed joins what a cell leaves for the state before.
  void past_zoneout(const BackwardChunk<T>& chunk, const RowSet& rows) const {
    const Index S = state_stride();
    for (Index r = 0; r < rows.count; ++r) {
      T* const to = pass_.dh + rows[r] * S;
      if (!reads_state(shape_.cell)) fill_zero(to, state_panels_, S);
      add(chunk.passed + rows[r] * S, state_panels_, S, to);
    }
  }

  // dm = dh W_hr.
  void to_projected(const BackwardChunk<T>& chunk, Index s, const RowSet& rows) const {
    if (rows.count == 0 || share_.panels.size() == 0) return;
    const Index H = shape_.hidden_size, k = s - chunk.steps.begin;
    const GateProduct<T> product = {
        rows.count,
        1,
        shape_.projection_size,
        H,
        share_.panels.begin,
        share_.panels.end,
        pass_.packing->projection_panels(),
        places_of<const T>(rows_of(as_const(chunk.dh), k, rows, lists_.dz_next.data()), rows.count),
        places_of<T>(rows_of<T>({chunk.dm, 0, H}, 0, rows, lists_.state.data()), rows.count),
        false,
        ask_from_};
    kernels_.gate_product(product);
  }

  // Once dz of a step is there: the gradient of the state before it, for rows that began with the step, and at the
  // chunk's first step for all. Of what began at a cut it goes to what the cut began from.
  void to_state_before(const BackwardChunk<T>& chunk, Index s) const {
    const bool chunk_begins = s == chunk.steps.begin;
    RowSet rows = {};
    if (plan_.plain()) {
      if (chunk_begins) rows = active_rows(s, nullptr);
    } else {
      rows.listed = lists_.leaving.data();
      for (Index k = 0; k < active(s); ++k) {
        const Index b = members_.row(k);
        const Start began = plan_.start(pass_.order, s, b);
        if (began == Start::initial || (began == Start::continues && chunk_begins))
          lists_.leaving.data()[rows.count++] = b;
        if (began == Start::cut && pass_.dcut_h) to_cut(chunk, s, b);
        if (began == Start::cut && t(s) == 0 && !pass_.order.reverse) {  // it never saw the initial state
          fill_zero(pass_.dh + b * state_stride(), state_panels_, state_stride());
          if (pass_.dc) fill_zero(pass_.dc + b * shape_.hidden_size, share_.panels, shape_.hidden_size);
        }
      }
    }
    if (rows.count == 0 || state_panels_.size() == 0) return;
    if (s == 0 && !pass_.wants_state) return;  // no step is before it
    // What comes past the products is there already.
    state_product(rows_of(dz_of_state(chunk), s - chunk.steps.begin, rows, lists_.dz_next.data()),
                  rows_of<T>({pass_.dh, 0, state_stride()}, 0, rows, lists_.state.data()), rows.count, carries());
  }

  // Adds the gradient of the state that a row began from at a cut.
  void to_cut(const BackwardChunk<T>& chunk, Index s, Index row) const {
    const Index S = state_stride(), H = shape_.hidden_size;
    if (pass_.dc) add(pass_.dc + row * H, share_.panels, H, pass_.dcut_c + row * H);
    if (state_panels_.size() == 0) return;
    if (carries()) add(pass_.dh + row * S, state_panels_, S, pass_.dcut_h + row * S);
    const RowSet one = {1, row, nullptr};
    state_product(rows_of(dz_of_state(chunk), s - chunk.steps.begin, one, lists_.dz_next.data()),
                  rows_of<T>({pass_.dcut_h, 0, S}, 0, one, lists_.state.data()), 1, true);
  }

  // out = dz W_hh.
  void state_product(const Rows<const T>& dz, const Rows<T>& out, Index count, bool accumulate) const {
    const GateProduct<T> product = {count,
                                    slots_of_h(shape_.cell),
                                    shape_.hidden_size,
                                    state_stride(),
                                    state_panels_.begin,
                                    state_panels_.end,
                                    pass_.packing->hidden_panels(),
                                    places_of<const T>(dz, count),
                                    places_of<T>(out, count),
                                    accumulate,
                                    ask_from_};
    kernels_.gate_product(product);
  }

  Index width() const { return kPanelVectors * kernels_.lanes; }
  // These panels' columns of a row, [size], to those of another.
  void add(const T* from, const Range& panels, Index size, T* to) const {
    const Index end = std::min(panels.end * width(), size);
    for (Index n = std::min(panels.begin * width(), size); n < end; ++n) to[n] += from[n];
  }
  // A row's columns of these panels.
  void fill_zero(T* row, const Range& panels, Index size) const {
    const Index first = std::min(panels.begin * width(), size), end = std::min(panels.end * width(), size);
    std::fill(row + first, row + end, T(0));
  }

  const NetworkShape& shape_;
  const KernelTable<T>& kernels_;
  const RowPlan& plan_;
  const T* const zeros_;
  const BackwardPass<T>& pass_;
  const Share& share_;
  const Members& members_;
  BackwardLists<T>& lists_;
  const Range state_panels_;  // of h's columns
  bool is_over_ = false;
  const Index ask_from_ = heuristics_for(kernels_).ask_from;
};

}  // namespace lstmfast
