// Arguments as most calls bring them, looked at without what pybind11 does beside: for methods that take less time than
// the interpreter needs to check their arguments (fast_method.h).
#pragma once

#include "bindings/python.h"

namespace lstmfast::bindings {

// As NumPy numbers an array's flags.
inline constexpr int kDense = 0x0001, kAligned = 0x0100, kWriteable = 0x0400;

// The memory of an exact ndarray of dtype T, C-ordered, aligned, native, of these axes; else null.
template <class T>
T* usual_array(PyObject* object, int axes, int flags = 0) {
  if (Py_TYPE(object) != numpy.array) return nullptr;
  const auto* const array = reinterpret_cast<const ArrayParts*>(object);
  const int ready = kDense | kAligned | flags;
  if (array->axes != axes || (array->flags & ready) != ready || !is_dtype_of<T>(array->dtype)) return nullptr;
  return reinterpret_cast<T*>(array->data);
}

inline const Py_ssize_t* shape_of(PyObject* array) { return reinterpret_cast<const ArrayParts*>(array)->sizes; }

// The memory of such an array of this shape; else null.
template <class T>
T* usual_array(PyObject* object, Index a, Index b, Index c, int flags = 0) {
  T* const data = usual_array<T>(object, 3, flags);
  if (!data) return nullptr;
  const Py_ssize_t* const sizes = shape_of(object);
  return sizes[0] == a && sizes[1] == b && sizes[2] == c ? data : nullptr;
}

// Likewise of two axes of these sizes.
template <class T>
T* usual_matrix(PyObject* object, Index a, Index b, int flags = 0) {
  T* const data = usual_array<T>(object, 2, flags);
  if (!data) return nullptr;
  const Py_ssize_t* const sizes = shape_of(object);
  return sizes[0] == a && sizes[1] == b ? data : nullptr;
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

// As new_array in arrays.h.
template <class T>
Reference quick_array(int axes, const Py_ssize_t* sizes) {
  PyObject* const dtype = Py_NewRef(dtype_of<T>());  // the reference is taken by the call
  Reference made = Reference::stolen(numpy.new_array(numpy.array, dtype, axes, sizes, nullptr, nullptr, 0, nullptr));
  if (!made) throw PythonError();
  return made;
}

template <class T>
T* data_of(const Reference& array) {
  return reinterpret_cast<T*>(reinterpret_cast<const ArrayParts*>(array.get())->data);
}

// An attribute; none where there is none.
inline Reference attribute(PyObject* object, PyObject* name) {
  Reference found = Reference::stolen(PyObject_GetAttr(object, name));
  if (!found) PyErr_Clear();
  return found;
}

}  // namespace lstmfast::bindings
