// fast_call(general): a model's __call__ that takes the usual arguments without passing through Python.
//
// A step of a small LSTM takes less time than the interpreter needs to check its arguments. So when a call
// brings just what the core takes (x: a C-ordered array of the model's dtype and three axes; state: nothing,
// None, or such arrays of the right shapes), it is answered here; everything else, mistakes included,
// goes to `general`, the Python function with all the checks and messages, which gives the same results.
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

// The memory of an exact ndarray of dtype T, C-ordered, aligned, native, of these axes; else null.
template <class T>
T* usual_array(PyObject* object, int axes) {
  static PyObject* const dtype = py::dtype::of<T>().release().ptr();
  const auto& api = py::detail::npy_api::get();
  if (Py_TYPE(object) != api.PyArray_Type_) return nullptr;
  const auto* const array = py::detail::array_proxy(object);
  constexpr int ready = py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  if (array->descr != dtype || array->nd != axes || (array->flags & ready) != ready) return nullptr;
  return reinterpret_cast<T*>(array->data);
}

const py::ssize_t* shape_of(PyObject* array) {
  return reinterpret_cast<const py::ssize_t*>(py::detail::array_proxy(array)->dimensions);
}

// [L*D, B, H], or null.
template <class T>
const T* usual_state(PyObject* object, const NetworkShape& shape, Index rows) {
  const T* const data = usual_array<T>(object, 3);
  if (!data) return nullptr;
  const py::ssize_t* const sizes = shape_of(object);
  return sizes[0] == shape.passes() && sizes[1] == rows && sizes[2] == shape.hidden_size ? data : nullptr;
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

// The result, or an empty object when the arguments are not the usual ones.
template <class T>
py::object answer(const Network<T>& network, bool batch_first, PyObject* x, PyObject* state) {
  const NetworkShape& shape = network.shape();
  const bool memory = has_memory(shape.cell);
  ForwardCall<T> call = {};
  const T* const x_data = usual_array<T>(x, 3);
  if (!x_data) return {};
  const py::ssize_t* const sizes = shape_of(x);
  const Index I = shape.input_size, H = shape.hidden_size, features = shape.directions * H;
  if (sizes[2] != I || sizes[0] == 0 || sizes[1] == 0) return {};
  call.steps = sizes[batch_first ? 1 : 0];
  call.rows = sizes[batch_first ? 0 : 1];
  if (state && state != Py_None) {
    PyObject* const h0 = memory ? nullptr : state;
    if (memory) {
      if (!PyTuple_CheckExact(state) || PyTuple_GET_SIZE(state) != 2) return {};
      call.h0 = usual_state<T>(PyTuple_GET_ITEM(state, 0), shape, call.rows);
      call.c0 = usual_state<T>(PyTuple_GET_ITEM(state, 1), shape, call.rows);
      if (!call.h0 || !call.c0) return {};
    } else if (!(call.h0 = usual_state<T>(h0, shape, call.rows))) {
      return {};
    }
  }
  const py::object y = quick_array<T>(sizes[0], sizes[1], features);
  const py::object h_n = quick_array<T>(shape.passes(), call.rows, H);
  const py::object c_n = memory ? quick_array<T>(shape.passes(), call.rows, H) : py::object();
  const auto layout = [&](auto* data, Index size) {
    using Pointer = decltype(data);
    using Element = std::remove_pointer_t<Pointer>;
    return batch_first ? Sequence<Element>{data, size, sizes[1] * size}
                       : Sequence<Element>{data, sizes[1] * size, size};
  };
  call.x = layout(x_data, I);
  call.y = layout(data_of<T>(y), features);
  call.h_n = data_of<T>(h_n);
  call.c_n = memory ? data_of<T>(c_n) : nullptr;
  if (call.steps * call.rows * shape.passes() * shape.gates() * H * (std::max(I, features) + H) < kShortCall) {
    network.infer(call);
  } else {
    without_gil([&] { network.infer(call); });
  }
  PyObject* const last = memory ? PyTuple_Pack(2, h_n.ptr(), c_n.ptr()) : Py_NewRef(h_n.ptr());
  if (!last) throw py::error_already_set();
  PyObject* const result = PyTuple_Pack(2, y.ptr(), last);
  Py_DECREF(last);
  if (!result) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(result);
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

// args: the model, x and perhaps the state.
py::object try_fast(PyObject* const* args, Py_ssize_t count) {
  const auto network = py::reinterpret_steal<py::object>(PyObject_GetAttr(args[0], network_name()));
  const auto batch_first = py::reinterpret_steal<py::object>(PyObject_GetAttr(args[0], batch_first_name()));
  if (!network || !batch_first) {
    PyErr_Clear();
    return {};
  }
  PyObject* const state = count > 2 ? args[2] : nullptr;
  if (const auto* found = as_network<float>(network.ptr()))
    return answer(*found, batch_first.ptr() == Py_True, args[1], state);
  if (const auto* found = as_network<double>(network.ptr()))
    return answer(*found, batch_first.ptr() == Py_True, args[1], state);
  return {};
}

PyObject* fast_vectorcall(PyObject* self, PyObject* const* args, size_t flags, PyObject* keywords) {
  const Py_ssize_t count = PyVectorcall_NARGS(flags);
  if (!keywords && (count == 2 || count == 3)) {
    try {
      if (py::object result = try_fast(args, count)) return result.release().ptr();
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
