// fast_call(general): a model's __call__ as a fast method. Usual: x, a C-ordered array of the model's dtype and three
// axes; state: nothing, None, or such arrays of the right shapes; out: nothing, or writeable ones.
#include <algorithm>

#include "bindings/fast_method.h"
#include "bindings/gil.h"
#include "bindings/usual.h"
#include "lstmfast/network.h"

namespace lstmfast::bindings {
namespace {

// h and c, or h alone, of a model's state or of the state in its results.
struct StateObjects {
  PyObject* h = nullptr;
  PyObject* c = nullptr;
};

// False when it is neither of the two.
bool split_state(PyObject* state, bool memory, StateObjects& parts) {
  if (!memory) {
    parts.h = state;
    return true;
  }
  if (!PyTuple_CheckExact(state) || PyTuple_GET_SIZE(state) != 2) return false;
  parts = {PyTuple_GET_ITEM(state, 0), PyTuple_GET_ITEM(state, 1)};
  return true;
}

// Whether results may be written to these places: each its own, but a new state may replace the one before.
template <class T>
bool are_apart(const ForwardCall<T>& call, const NetworkShape& shape) {
  const Index h = shape.passes() * call.rows * shape.state_size();
  const Index c = shape.passes() * call.rows * shape.hidden_size;
  const Index places = call.steps * call.rows;
  const Memory<T> x = {call.x.data, places * shape.input_size};
  const Memory<T> y = {call.y.data, places * shape.directions * shape.state_size()};
  const Memory<T> h0 = {call.h0, h}, c0 = {call.c0, c}, h_n = {call.h_n, h}, c_n = {call.c_n, c};
  return !overlap(y, x) && !overlap(y, h0) && !overlap(y, c0) && !overlap(y, h_n) && !overlap(y, c_n) &&
         !overlap(h_n, x) && !overlap(h_n, c0) && !overlap(h_n, c_n) && !overlap(c_n, x) && !overlap(c_n, h0) &&
         (h_n.data == h0.data || !overlap(h_n, h0)) && (c_n.data == c0.data || !overlap(c_n, c0));
}

// The results' arrays: those of `out`, or new ones when that is null.
template <class T>
struct ResultArrays {
  Reference y, h_n, c_n;
  T* y_data = nullptr;
  T* h_data = nullptr;
  T* c_data = nullptr;  // null, as is c_n, for a cell without memory

  void make(const Py_ssize_t* x_sizes, const NetworkShape& shape, Index rows) {
    const Py_ssize_t y_sizes[3] = {x_sizes[0], x_sizes[1], shape.directions * shape.state_size()};
    const Py_ssize_t h_sizes[3] = {shape.passes(), rows, shape.state_size()};
    const Py_ssize_t c_sizes[3] = {shape.passes(), rows, shape.hidden_size};
    y = quick_array<T>(3, y_sizes);
    y_data = data_of<T>(y);
    h_n = quick_array<T>(3, h_sizes);
    h_data = data_of<T>(h_n);
    if (!has_memory(shape.cell)) return;
    c_n = quick_array<T>(3, c_sizes);
    c_data = data_of<T>(c_n);
  }

  // False when they are not usual ones. `out` keeps them.
  bool take(PyObject* out, const Py_ssize_t* x_sizes, const NetworkShape& shape, Index rows) {
    const bool memory = has_memory(shape.cell);
    StateObjects state;
    if (!PyTuple_CheckExact(out) || PyTuple_GET_SIZE(out) != 2) return false;
    if (!split_state(PyTuple_GET_ITEM(out, 1), memory, state)) return false;
    const Index S = shape.state_size();
    y_data = usual_array<T>(PyTuple_GET_ITEM(out, 0), x_sizes[0], x_sizes[1], shape.directions * S, kWriteable);
    h_data = usual_array<T>(state.h, shape.passes(), rows, S, kWriteable);
    if (memory) c_data = usual_array<T>(state.c, shape.passes(), rows, shape.hidden_size, kWriteable);
    return y_data && h_data && (c_data || !memory);
  }

  Reference packed() const {
    PyObject* const last = c_n ? PyTuple_Pack(2, h_n.get(), c_n.get()) : Py_NewRef(h_n.get());
    if (!last) throw PythonError();
    PyObject* const result = PyTuple_Pack(2, y.get(), last);
    Py_DECREF(last);
    if (!result) throw PythonError();
    return Reference::stolen(result);
  }
};

// The result, or none when the arguments are not the usual ones. `state` and `out` may be null.
template <class T>
Reference answer(const Network<T>& network, bool batch_first, PyObject* x, PyObject* state, PyObject* out) {
  const NetworkShape& shape = network.shape();
  const bool memory = has_memory(shape.cell);
  ForwardCall<T> call = {};
  const T* const x_data = usual_array<T>(x, 3);
  if (!x_data) return {};
  const Py_ssize_t* const sizes = shape_of(x);
  const Index I = shape.input_size, H = shape.hidden_size, S = shape.state_size(), features = shape.directions * S;
  if (sizes[2] != I || sizes[0] == 0 || sizes[1] == 0) return {};
  call.steps = sizes[batch_first ? 1 : 0];
  call.rows = sizes[batch_first ? 0 : 1];
  if (state && state != Py_None) {
    StateObjects parts;
    if (!split_state(state, memory, parts)) return {};
    call.h0 = usual_array<T>(parts.h, shape.passes(), call.rows, S);
    if (memory) call.c0 = usual_array<T>(parts.c, shape.passes(), call.rows, H);
    if (!call.h0 || (memory && !call.c0)) return {};
  }
  ResultArrays<T> results;
  if (!out)
    results.make(sizes, shape, call.rows);
  else if (!results.take(out, sizes, shape, call.rows))
    return {};
  const auto layout = [&](auto* data, Index size) {
    using Element = std::remove_pointer_t<decltype(data)>;
    return batch_first ? Sequence<Element>{data, size, sizes[1] * size}
                       : Sequence<Element>{data, sizes[1] * size, size};
  };
  call.x = layout(x_data, I);
  call.y = layout(results.y_data, features);
  call.h_n = results.h_data;
  call.c_n = results.c_data;
  if (out && !are_apart(call, shape)) return {};
  const Index terms = shape.terms(call.steps * call.rows);
  without_gil_if_long(terms, [&] { network.infer(call); });
  return out ? Reference::borrowed(out) : results.packed();
}

}  // namespace

// args: the model, x and perhaps the state. `out` may be null.
Reference answer_call(PyObject* const* args, Py_ssize_t count, PyObject* out) {
  if (count != 2 && count != 3) return {};
  const Reference network = attribute(args[0], call_names.network);
  const Reference batch_first = attribute(args[0], call_names.batch_first);
  if (!network || !batch_first) return {};
  PyObject* const state = count > 2 ? args[2] : nullptr;
  if (const auto* found = as_bound<Network<float>>(network.get()))
    return answer(*found, batch_first.get() == Py_True, args[1], state, out);
  if (const auto* found = as_bound<Network<double>>(network.get()))
    return answer(*found, batch_first.get() == Py_True, args[1], state, out);
  return {};
}

}  // namespace lstmfast::bindings
