// fast_call(general): a model's __call__ that takes the usual arguments without passing through Python.
//
// A step of a small LSTM takes less time than the interpreter needs to check its arguments. So when a call
// brings just what the core takes (x: a C-ordered array of the model's dtype and three axes; state: nothing,
// None, or such arrays of the right shapes; out: nothing, or writeable ones), it is answered here; everything else,
// mistakes included, goes to `general`, the Python function with all the checks and messages, which gives the same
// results.
#include <pybind11/numpy.h>
#include <structmember.h>

#include <algorithm>
#include <new>

#include "bindings/arrays.h"
#include "bindings/gil.h"
#include "bindings/register.h"
#include "lstmfast/network.h"

namespace lstmfast::bindings {
namespace {

// Multiply-adds below which a call is done sooner than the GIL could be handed over and back (about 2 us).
constexpr Index kShortCall = 50'000;

struct FastCall {
  PyObject_HEAD vectorcallfunc vectorcall;
  PyObject* general;
};

PyObject* network_name() {
  static PyObject* const name = PyUnicode_InternFromString("_network");
  return name;
}
PyObject* batch_first_name() {
  static PyObject* const name = PyUnicode_InternFromString("_batch_first");
  return name;
}

PyObject* out_name() {
  static PyObject* const name = PyUnicode_InternFromString("out");
  return name;
}

// The memory of an exact ndarray of dtype T, C-ordered, aligned, native, of these axes; else null.
template <class T>
T* usual_array(PyObject* object, int axes, int flags = 0) {
  static PyObject* const dtype = py::dtype::of<T>().release().ptr();
  const auto& api = py::detail::npy_api::get();
  if (Py_TYPE(object) != api.PyArray_Type_) return nullptr;
  const auto* const array = py::detail::array_proxy(object);
  const int ready = py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_ | flags;
  if (array->descr != dtype || array->nd != axes || (array->flags & ready) != ready) return nullptr;
  return reinterpret_cast<T*>(array->data);
}

const py::ssize_t* shape_of(PyObject* array) {
  return reinterpret_cast<const py::ssize_t*>(py::detail::array_proxy(array)->dimensions);
}

// The memory of such an array of this shape; else null.
template <class T>
T* usual_array(PyObject* object, Index a, Index b, Index c, int flags = 0) {
  T* const data = usual_array<T>(object, 3, flags);
  if (!data) return nullptr;
  const py::ssize_t* const sizes = shape_of(object);
  return sizes[0] == a && sizes[1] == b && sizes[2] == c ? data : nullptr;
}

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

// Elements [data, data + count); none where data is null.
template <class T>
struct Memory {
  const T* data;
  Index count;
};

template <class T>
bool overlap(const Memory<T>& a, const Memory<T>& b) {
  return a.data && b.data && a.data < b.data + b.count && b.data < a.data + a.count;
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

// As new_array in arrays.h, without what pybind11 does beside.
template <class T>
py::object quick_array(Index a, Index b, Index c) {
  static PyObject* const dtype = py::dtype::of<T>().release().ptr();
  const auto& api = py::detail::npy_api::get();
  const Py_intptr_t sizes[3] = {a, b, c};
  Py_INCREF(dtype);  // the reference is taken by the call
  PyObject* const made = api.PyArray_NewFromDescr_(api.PyArray_Type_, dtype, 3, sizes, nullptr, nullptr, 0, nullptr);
  if (!made) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(made);
}

template <class T>
T* data_of(const py::object& array) {
  return reinterpret_cast<T*>(py::detail::array_proxy(array.ptr())->data);
}

// The results' arrays: those of `out`, or new ones when that is null.
template <class T>
struct ResultArrays {
  py::object y, h_n, c_n;
  T* y_data = nullptr;
  T* h_data = nullptr;
  T* c_data = nullptr;  // null, as is c_n, for a cell without memory

  void make(const py::ssize_t* x_sizes, const NetworkShape& shape, Index rows) {
    y = quick_array<T>(x_sizes[0], x_sizes[1], shape.directions * shape.state_size());
    y_data = data_of<T>(y);
    h_n = quick_array<T>(shape.passes(), rows, shape.state_size());
    h_data = data_of<T>(h_n);
    if (!has_memory(shape.cell)) return;
    c_n = quick_array<T>(shape.passes(), rows, shape.hidden_size);
    c_data = data_of<T>(c_n);
  }

  // False when they are not usual ones. `out` keeps them.
  bool take(PyObject* out, const py::ssize_t* x_sizes, const NetworkShape& shape, Index rows) {
    constexpr int writeable = py::detail::npy_api::NPY_ARRAY_WRITEABLE_;
    const bool memory = has_memory(shape.cell);
    StateObjects state;
    if (!PyTuple_CheckExact(out) || PyTuple_GET_SIZE(out) != 2) return false;
    if (!split_state(PyTuple_GET_ITEM(out, 1), memory, state)) return false;
    const Index S = shape.state_size();
    y_data = usual_array<T>(PyTuple_GET_ITEM(out, 0), x_sizes[0], x_sizes[1], shape.directions * S, writeable);
    h_data = usual_array<T>(state.h, shape.passes(), rows, S, writeable);
    if (memory) c_data = usual_array<T>(state.c, shape.passes(), rows, shape.hidden_size, writeable);
    return y_data && h_data && (c_data || !memory);
  }

  py::object packed() const {
    PyObject* const last = c_n ? PyTuple_Pack(2, h_n.ptr(), c_n.ptr()) : Py_NewRef(h_n.ptr());
    if (!last) throw py::error_already_set();
    PyObject* const result = PyTuple_Pack(2, y.ptr(), last);
    Py_DECREF(last);
    if (!result) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(result);
  }
};

// The result, or an empty object when the arguments are not the usual ones. `state` and `out` may be null.
template <class T>
py::object answer(const Network<T>& network, bool batch_first, PyObject* x, PyObject* state, PyObject* out) {
  const NetworkShape& shape = network.shape();
  const bool memory = has_memory(shape.cell);
  ForwardCall<T> call = {};
  const T* const x_data = usual_array<T>(x, 3);
  if (!x_data) return {};
  const py::ssize_t* const sizes = shape_of(x);
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
  if (call.steps * call.rows * shape.passes() * shape.gates() * H * (std::max(I, features) + S) < kShortCall) {
    network.infer(call);
  } else {
    without_gil([&] { network.infer(call); });
  }
  return out ? py::reinterpret_borrow<py::object>(out) : results.packed();
}

// `object` as a compiled network of T, or null.
template <class T>
const Network<T>* as_network(PyObject* object) {
  static const PyTypeObject* const type =
      reinterpret_cast<const PyTypeObject*>(py::type::of<Network<T>>().release().ptr());
  if (Py_TYPE(object) != type) return nullptr;
  return static_cast<const Network<T>*>(
      reinterpret_cast<py::detail::instance*>(object)->get_value_and_holder().value_ptr());
}

// args: the model, x and perhaps the state. `out` may be null.
py::object try_fast(PyObject* const* args, Py_ssize_t count, PyObject* out) {
  const auto network = py::reinterpret_steal<py::object>(PyObject_GetAttr(args[0], network_name()));
  const auto batch_first = py::reinterpret_steal<py::object>(PyObject_GetAttr(args[0], batch_first_name()));
  if (!network || !batch_first) {
    PyErr_Clear();
    return {};
  }
  PyObject* const state = count > 2 ? args[2] : nullptr;
  if (const auto* found = as_network<float>(network.ptr()))
    return answer(*found, batch_first.ptr() == Py_True, args[1], state, out);
  if (const auto* found = as_network<double>(network.ptr()))
    return answer(*found, batch_first.ptr() == Py_True, args[1], state, out);
  return {};
}

PyObject* fast_vectorcall(PyObject* self, PyObject* const* args, size_t flags, PyObject* keywords) {
  const Py_ssize_t count = PyVectorcall_NARGS(flags);
  const bool with_out = keywords && PyTuple_GET_SIZE(keywords) == 1 && PyTuple_GET_ITEM(keywords, 0) == out_name();
  if ((!keywords || with_out) && (count == 2 || count == 3)) {
    PyObject* const out = with_out && args[count] != Py_None ? args[count] : nullptr;
    try {
      if (py::object result = try_fast(args, count, out)) return result.release().ptr();
    } catch (py::error_already_set& error) {
      error.restore();
      return nullptr;
    } catch (const std::bad_alloc&) {
      return PyErr_NoMemory();
    } catch (const std::exception& error) {  // nothing may unwind through the interpreter
      PyErr_SetString(PyExc_RuntimeError, error.what());
      return nullptr;
    }
  }
  return PyObject_Vectorcall(reinterpret_cast<FastCall*>(self)->general, args, flags, keywords);
}

// As a function does: found on an instance, it is bound to it.
PyObject* fast_bind(PyObject* self, PyObject* object, PyObject*) {
  if (!object || object == Py_None) return Py_NewRef(self);
  return PyMethod_New(self, object);
}

// Name, documentation and signature are the general function's.
PyObject* fast_attribute(PyObject* self, PyObject* name) {
  PyObject* const general = reinterpret_cast<FastCall*>(self)->general;
  if (PyUnicode_CompareWithASCIIString(name, "__wrapped__") == 0) return Py_NewRef(general);
  return PyObject_GetAttr(general, name);
}

int fast_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(reinterpret_cast<FastCall*>(self)->general);
  return 0;
}

int fast_clear(PyObject* self) {
  Py_CLEAR(reinterpret_cast<FastCall*>(self)->general);
  return 0;
}

void fast_dealloc(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  fast_clear(self);
  PyObject_GC_Del(self);
  Py_DECREF(type);
}

PyMemberDef fast_members[] = {{"__vectorcalloffset__", T_PYSSIZET, offsetof(FastCall, vectorcall), READONLY, nullptr},
                              {nullptr, 0, 0, 0, nullptr}};

PyType_Slot fast_slots[] = {{Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
                            {Py_tp_descr_get, reinterpret_cast<void*>(fast_bind)},
                            {Py_tp_getattro, reinterpret_cast<void*>(fast_attribute)},
                            {Py_tp_traverse, reinterpret_cast<void*>(fast_traverse)},
                            {Py_tp_clear, reinterpret_cast<void*>(fast_clear)},
                            {Py_tp_dealloc, reinterpret_cast<void*>(fast_dealloc)},
                            {Py_tp_members, fast_members},
                            {0, nullptr}};

PyType_Spec fast_spec = {
    "lstmfast._core.FastCall", sizeof(FastCall), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR, fast_slots};

}  // namespace

void register_fast_call(py::module_& m) {
  static PyObject* const type = PyType_FromSpec(&fast_spec);
  if (!type) throw py::error_already_set();
  m.def(
      "fast_call",
      [](const py::function& general) {
        FastCall* const made = PyObject_GC_New(FastCall, reinterpret_cast<PyTypeObject*>(type));
        if (!made) throw py::error_already_set();
        made->vectorcall = fast_vectorcall;
        made->general = Py_NewRef(general.ptr());
        PyObject_GC_Track(reinterpret_cast<PyObject*>(made));
        return py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(made));
      },
      py::arg("general"), py::pos_only());
}

}  // namespace lstmfast::bindings
