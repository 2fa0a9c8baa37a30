// Arguments as most calls bring them, looked at without what pybind11 does beside: for methods that take less time than
// the interpreter needs to check their arguments (fast_method.h).
#pragma once

#include <pybind11/numpy.h>

#include "bindings/arrays.h"

namespace lstmfast::bindings {

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

inline const py::ssize_t* shape_of(PyObject* array) {
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

// Likewise of two axes of these sizes.
template <class T>
T* usual_matrix(PyObject* object, Index a, Index b, int flags = 0) {
  T* const data = usual_array<T>(object, 2, flags);
  if (!data) return nullptr;
  const py::ssize_t* const sizes = shape_of(object);
  return sizes[0] == a && sizes[1] == b ? data : nullptr;
}

inline constexpr int kWriteable = py::detail::npy_api::NPY_ARRAY_WRITEABLE_;

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

// As new_array in arrays.h.
template <class T>
py::object quick_array(int axes, const py::ssize_t* sizes) {
  static PyObject* const dtype = py::dtype::of<T>().release().ptr();
  const auto& api = py::detail::npy_api::get();
  Py_INCREF(dtype);  // the reference is taken by the call
  PyObject* const made = api.PyArray_NewFromDescr_(api.PyArray_Type_, dtype, axes, sizes, nullptr, nullptr, 0, nullptr);
  if (!made) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(made);
}

template <class T>
T* data_of(const py::object& array) {
  return reinterpret_cast<T*>(py::detail::array_proxy(array.ptr())->data);
}

// `object` as what this module has bound it to, or null.
template <class Bound>
Bound* as_bound(PyObject* object) {
  static const PyTypeObject* const type = reinterpret_cast<const PyTypeObject*>(py::type::of<Bound>().release().ptr());
  if (Py_TYPE(object) != type) return nullptr;
  return static_cast<Bound*>(reinterpret_cast<py::detail::instance*>(object)->get_value_and_holder().value_ptr());
}

// An attribute; an empty object where there is none.
inline py::object attribute(PyObject* object, PyObject* name) {
  PyObject* const found = PyObject_GetAttr(object, name);
  if (!found) PyErr_Clear();
  return py::reinterpret_steal<py::object>(found);
}

}  // namespace lstmfast::bindings
