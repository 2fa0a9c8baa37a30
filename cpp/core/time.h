// Steps in the order of processing, s = 0, 1, ..., and the time step t that each stands for.
#pragma once

#include "lstmfast/kernel_table.h"

namespace lstmfast {

struct TimeOrder {
  Index steps;
  bool reverse;

  Index t(Index s) const { return reverse ? steps - 1 - s : s; }
};

// A sequence's steps from s on, in the order of processing, from row `row` of each. It must not be packed.
template <class T>
Sequence<T> steps_from(const Sequence<T>& sequence, const TimeOrder& order, Index s, Index row) {
  const Index step_stride = order.reverse ? -sequence.step_stride : sequence.step_stride;
  return {sequence.at(order.t(s), row), step_stride, sequence.row_stride};
}

// The state of all rows at one time.
template <class T>
struct StateView {
  const T* data;  // [rows, S], or [rows, H] of c; null for a cell without it
  Index stride;   // between rows; 0 for one row that stands for all

  const T* at(Index row) const { return data + row * stride; }
};

// Of those of a pass [passes, rows, size], one row of which stands for all where there is only one; of zeros where
// there are none.
template <class T>
StateView<T> pass_of(const T* states, Index rows, Index size, Index pass, const T* zeros) {
  if (!states) return {zeros, 0};
  return {states + pass * rows * size, rows == 1 ? 0 : size};
}

// State before step s: the initial one, or what the step before has left in a sequence.
template <class T>
StateView<T> state_before(Index s, const TimeOrder& order, const StateView<T>& initial, const Sequence<T>& states) {
  if (s == 0) return initial;
  return {states.at(order.t(s - 1), 0), states.row_stride};
}

// Part of a sequence's features, for one direction of a concatenated output.
template <class T>
Sequence<T> features_from(const Sequence<T>& sequence, Index first) {
  return {sequence.data ? sequence.data + first : nullptr, sequence.step_stride, sequence.row_stride,
          sequence.rows_before};
}

// Dense; packed where rows_before is given.
template <class T>
Sequence<T> time_major(T* data, Index rows, Index features, const Index* rows_before = nullptr) {
  return {data, rows * features, features, rows_before};
}

// What a call brings, packed where rows_before is given.
template <class T>
Sequence<T> packed_by(const Index* rows_before, const Sequence<T>& sequence) {
  return {sequence.data, sequence.step_stride, sequence.row_stride, rows_before};
}

template <class T>
Sequence<const T> as_const(const Sequence<T>& sequence) {
  return {sequence.data, sequence.step_stride, sequence.row_stride, sequence.rows_before};
}

// Some batch rows: those from `first` on, or listed ones.
struct RowSet {
  Index count;
  Index first;
  const Index* listed;  // [count], or null

  Index operator[](Index k) const { return listed ? listed[k] : first + k; }
};

// These rows of one step of a sequence; `scratch` is room for their addresses.
template <class T>
Rows<T> rows_of(const Sequence<T>& sequence, Index t, const RowSet& rows, T** scratch) {
  if (!rows.listed) return {sequence.at(t, rows.first), sequence.row_stride, nullptr};
  for (Index k = 0; k < rows.count; ++k) scratch[k] = sequence.at(t, rows.listed[k]);
  return {nullptr, 0, scratch};
}

template <class T>
Rows<const T> as_const(const Rows<T>& rows) {
  return {rows.data, rows.stride, rows.listed};
}

// All but the first ones.
template <class T>
Rows<T> rows_from(const Rows<T>& rows, Index first) {
  if (rows.listed) return {nullptr, 0, rows.listed + first};
  return {rows.data + first * rows.stride, rows.stride, nullptr};
}

// The rows of one step, for a product that takes those of several.
template <class Of, class T>
Places<Of> places_of(const Rows<T>& rows, Index count) {
  return {{rows.data, 0, rows.stride}, count, rows.listed};
}

}  // namespace lstmfast
