// The time loop of one layer and direction where rows end and start at times of their own: ForwardLoop's steps, with a
// list of addresses for everything that a step reads and writes.
#pragma once

#include <algorithm>

#include "core/forward_loop.h"
#include "core/row_plan.h"

namespace lstmfast {

// Room for the addresses of one step's rows, and of the rows of a merged input product.
template <class T>
struct RowLists {
  RowLists() = default;
  RowLists(Index rows, Index merged_rows)
      : x(std::max(rows, merged_rows)), h(rows), c(rows), h_out(rows), c_out(rows), gates(rows), sums(rows) {}

  Buffer<const T*> x, h, c;
  Buffer<T*> h_out, c_out, gates, sums;
};

template <class T>
class PlannedLoop {
 public:
  PlannedLoop(const ForwardLoop<T>& loop, const RowPlan& plan) : loop_(loop), plan_(plan) {}

  // The most rows whose input products are made at once, among those of so many that take part at one time.
  static Index merged_rows(const ForwardLoop<T>& loop, Index steps, Index rows, Index panels) {
    Index most = 0;
    for (Index n = 1; n <= rows; ++n) most = std::max(most, loop.merged_steps(steps, n, panels) * n);
    return most;
  }

  // z: room for merged_rows() rows of this share's panels. Threads meet as in ForwardLoop::run.
  void run(const Pass<T>& pass, const Share& share, const Members& members, Meeting& meeting, T* z,
           RowLists<T>& lists) const {
    const Index steps = pass.order.steps, z_row = loop_.z_row(share), row_terms = loop_.terms_of_row(share);
    ForwardStep<T> step = loop_.blank_step(share);
    step.descending = pass.descends;
    Index z_end = 0;  // the step up to which z was made
    for (Index s = 0; s < steps; ++s) {
      step.rows = active(pass, members, s);
      if (meeting.is_over(row_terms * step.rows)) step.rows = 0;
      if (s >= z_end) {
        const Index merged = loop_.merged_steps(steps - s, step.rows, share.panels.size());
        z_end = s + list_inputs(pass, members, s, std::max<Index>(merged, 1), lists.x.data());
        step.x = {nullptr, 0, merged ? nullptr : lists.x.data()};
        step.z = merged ? z : nullptr;
        step.z_stride = z_row;
        if (merged) loop_.input_product({{}, 1, lists.x.data()}, rows_until(pass, members, s, z_end), share, z);
      }
      list_states(pass, members, s, step.rows, lists);
      step.h = {nullptr, 0, lists.h.data()};
      if (pass.c0.data) {
        step.c = {nullptr, 0, lists.c.data()};
        step.c_out = {nullptr, 0, lists.c_out.data()};
      }
      if (pass.gates.data) step.gates = {nullptr, 0, lists.gates.data()};
      loop_.run_step(step, {nullptr, 0, lists.h_out.data()}, pass.m_of(share), share, meeting, lists.sums.data());
      if (loop_.zones_out()) {
        const Index t = pass.begin + pass.order.t(s);
        loop_.zone_out(step, {nullptr, 0, lists.h_out.data()}, share, [&](Index r) {
          return loop_.renewed_of(pass.renewed, plan_.stored_at(t, members.row(r), pass.rows));
        });
      }
      if (s + 1 < steps) meeting.after_step(share);
      step.descending = !step.descending;
      if (step.z) step.z += step.rows * z_row;
    }
  }

  // Copies each row's state to h_n and c_n if its last step was in this pass, or it had none at all; and the state of
  // those that go on after it.
  void keep_last_state(const Pass<T>& pass, const Range& of_h, const Range& of_c, const Members& members,
                       Index state_size, Index hidden_size) const {
    const auto keep = [&](const StateView<T>& initial, const Sequence<T>& states, Index b, T* to,
                          const Range& columns) {
      const Index end = std::min(plan_.length(b) - pass.begin, pass.order.steps);  // of the row's steps in this pass
      if (end <= 0 && pass.begin > 0) return;
      const T* const from = end <= 0 ? initial.at(b) : states.at(pass.order.reverse ? 0 : end - 1, b);
      if (from != to) std::copy(from + columns.begin, from + columns.end, to + columns.begin);
    };
    for (Index k = 0; k < members.count(); ++k) {
      const Index b = members.row(k);
      keep(pass.h0, pass.h, b, pass.h_n + b * state_size, of_h);
      if (pass.c_n) keep(pass.c0, pass.c, b, pass.c_n + b * hidden_size, of_c);
    }
  }

 private:
  static Index active(const Pass<T>& pass, const Members& members, Index s) {
    return members.active(pass.begin + pass.order.t(s));
  }

  static Index rows_until(const Pass<T>& pass, const Members& members, Index s, Index end) {
    Index rows = 0;
    for (; s < end; ++s) rows += active(pass, members, s);
    return rows;
  }

  // Lists the inputs of step s and of those after it that can be merged with it: `most` steps, but no more rows than
  // if all had as many as step s. Returns how many steps.
  Index list_inputs(const Pass<T>& pass, const Members& members, Index s, Index most, const T** x) const {
    const Index room = most * active(pass, members, s);
    Index listed = 0, count = 0;
    for (; count < most; ++count) {
      const Index rows = active(pass, members, s + count);
      if (listed + rows > room) break;
      const Index t = pass.order.t(s + count);
      for (Index k = 0; k < rows; ++k) x[listed + k] = pass.x.at(t, members.row(k));
      listed += rows;
    }
    return std::max<Index>(count, 1);
  }

  // Where the state before step s, and that after it, of each row is.
  void list_states(const Pass<T>& pass, const Members& members, Index s, Index rows, RowLists<T>& lists) const {
    const Index t = pass.order.t(s);
    const bool reverse = pass.order.reverse;
    for (Index k = 0; k < rows; ++k) {
      const Index b = members.row(k);
      Start start = plan_.start(pass.begin + t, b, reverse);
      if (start == Start::continues && s == 0) start = Start::initial;  // of this pass
      const auto state = [&](const StateView<T>& initial, const Sequence<T>& states, const StateView<T>& cut) {
        return row_state_before<T>(start, t, b, reverse, initial.at(b), as_const(states), cut.at(b));
      };
      lists.h.data()[k] = state(pass.h0, pass.h, pass.cut_h);
      lists.h_out.data()[k] = pass.h.at(t, b);
      if (pass.c0.data) {
        lists.c.data()[k] = state(pass.c0, pass.c, pass.cut_c);
        lists.c_out.data()[k] = pass.c.at(t, b);
      }
      if (pass.gates.data) lists.gates.data()[k] = pass.gates.at(t, b);
    }
  }

  const ForwardLoop<T>& loop_;
  const RowPlan& plan_;
};

}  // namespace lstmfast
