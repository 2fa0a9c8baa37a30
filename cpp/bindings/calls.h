// The arrays of a call as the core's structs: checked, with results that are given or new.
#pragma once

#include <string>

#include "bindings/arguments.h"
#include "lstmfast/network.h"
#include "lstmfast/threads.h"

namespace lstmfast::bindings {

// Arrays for the results of a call that brings its own; none for new ones.
template <class T>
struct GivenResults {
  OptionalArray<T> y, h_n, c_n;

  GivenResults(Given y_given, Given h_given, Given c_given)
      : y(optional_array_from<T>(y_given, "y")),
        h_n(optional_array_from<T>(h_given, "h_n")),
        c_n(optional_array_from<T>(c_given, "c_n")) {}
};

// The state that a call begins from.
template <class T>
struct GivenState {
  OptionalArray<T> h0, c0;

  GivenState(Given h_given, Given c_given)
      : h0(optional_array_from<T>(h_given, "h0")), c0(optional_array_from<T>(c_given, "c0")) {}
};

// What a cut begins from, as a call brings it: [L*D, B, S] and [L*D, B, H], or with one row for all.
template <class T>
struct GivenCut {
  OptionalArray<T> h, c;

  GivenCut(Given h_given, Given c_given)
      : h(optional_array_from<T>(h_given, "cut_h")), c(optional_array_from<T>(c_given, "cut_c")) {}

  CutState<T> checked(const NetworkShape& shape, Index rows) const {
    CutState<T> cut;
    if (c && !has_memory(shape.cell)) throw std::invalid_argument("cut_c: expected None, this cell has no memory");
    const OptionalArray<T>& any = h ? h : c;
    if (!any) return cut;
    cut.rows = any->ndim() == 3 && any->shape(1) == 1 ? 1 : rows;
    cut.h = dense_or_null(h, {shape.passes(), cut.rows, shape.state_size()}, "cut_h");
    cut.c = dense_or_null(c, {shape.passes(), cut.rows, shape.hidden_size}, "cut_c");
    return cut;
  }
};

// Where rows end and begin anew, as a call brings it.
struct GivenTimes {
  OptionalArray<Index> lengths;
  OptionalArray<bool> reset;

  GivenTimes() = default;
  GivenTimes(Given lengths_given, Given reset_given)
      : lengths(optional_array_from<Index>(lengths_given, "lengths")),
        reset(optional_array_from<bool>(reset_given, "reset")) {}

  RowTimes checked(Index steps, Index rows) const {
    RowTimes times = {dense_or_null(lengths, {rows}, "lengths"), dense_or_null(reset, {steps, rows}, "reset")};
    for (Index b = 0; times.lengths && b < rows; ++b)
      if (times.lengths[b] < 0 || times.lengths[b] > steps)
        throw std::invalid_argument("lengths: expected 0 to " + std::to_string(steps) + ", got " +
                                    std::to_string(times.lengths[b]));
    return times;
  }

  // Of packed sequences of so many places.
  RowTimes packed(Index places) const {
    if (lengths->ndim() != 1 || lengths->size() == 0)
      throw std::invalid_argument("lengths: expected one axis of at least one row, for x is packed");
    RowTimes times = checked(lengths->data()[0], lengths->size());
    times.packed = true;
    Index left = places;
    for (Index b = 0; b < lengths->size(); ++b) {
      if (b && times.lengths[b] > times.lengths[b - 1])
        throw std::invalid_argument("lengths: expected the longest first, for x is packed");
      if (__builtin_sub_overflow(left, times.lengths[b], &left)) break;
    }
    if (left != 0) throw std::invalid_argument("lengths: expected a sum of " + std::to_string(places) + ", x's rows");
    return times;
  }
};

// The arrays of one forward call. x [T, B, I], or [B, T, I] with batch_first; or packed, [N, I].
template <class T>
struct ForwardArrays {
  Array<T> y, h_n;
  OptionalArray<T> c_n;
  OptionalArray<T> c;  // of every step, where it is wanted
  ForwardCall<T> call = {};

  ForwardArrays(const NetworkShape& shape, const Array<T>& x, bool batch_first, const GivenTimes& times,
                const OptionalArray<T>& given_y) {
    const Index features = shape.directions * shape.state_size();
    const bool packed = x.ndim() == 2 && times.lengths;
    if ((x.ndim() != 3 && !packed) || x.shape(x.ndim() - 1) != shape.input_size)
      throw std::invalid_argument("x: expected three axes, or two beside lengths, the last of size " +
                                  std::to_string(shape.input_size) + ", got shape " + shape_text(x));
    if (packed) {
      if (batch_first) throw std::invalid_argument("batch_first: expected False, for x is packed");
      call.times = times.packed(x.shape(0));
      call.steps = call.times.lengths[0];
      call.rows = times.lengths->size();
      call.x = packed_sequence(x, "x");
      y = result_array<T>(given_y, {x.shape(0), features}, "y");
    } else {
      call.steps = x.shape(batch_first ? 1 : 0);
      call.rows = x.shape(batch_first ? 0 : 1);
      call.times = times.checked(call.steps, call.rows);
      call.x = sequence(x, batch_first, "x");
      y = result_array<T>(given_y, {x.shape(0), x.shape(1), features}, "y");
    }
    call.y = writable_sequence(y, batch_first);
  }

  void take_states(const NetworkShape& shape, const GivenState<T>& state, const GivenResults<T>& given) {
    const Index H = shape.hidden_size, S = shape.state_size();
    const bool memory = has_memory(shape.cell);
    call.h0 = dense_or_null(state.h0, {shape.passes(), call.rows, S}, "h0");
    call.c0 = dense_or_null(state.c0, {shape.passes(), call.rows, H}, "c0");
    if (state.c0 && !memory) throw std::invalid_argument("c0: expected None, this cell has no memory");
    h_n = result_array<T>(given.h_n, {shape.passes(), call.rows, S}, "h_n");
    call.h_n = h_n.mutable_data();
    if (given.c_n && !memory) throw std::invalid_argument("c_n: expected None, this cell has no memory");
    if (memory) {
      c_n = result_array<T>(given.c_n, {shape.passes(), call.rows, H}, "c_n");
      call.c_n = c_n->mutable_data();
    }
  }

  // A new array for c of every step.
  void take_memory(const NetworkShape& shape, bool batch_first) {
    if (!has_memory(shape.cell)) throw std::invalid_argument("return_c: expected False, this cell has no memory");
    const Index features = shape.directions * shape.hidden_size;
    c = y.ndim() == 2 ? new_array<T>({y.shape(0), features}) : new_array<T>({y.shape(0), y.shape(1), features});
    call.c = writable_sequence(*c, batch_first);
  }

  Index places() const { return y.ndim() == 2 ? y.shape(0) : call.steps * call.rows; }
};

}  // namespace lstmfast::bindings
