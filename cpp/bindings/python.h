// What fast methods need of Python and NumPy, without pybind11: they are compiled for speed, and it for size.
#pragma once

#include <Python.h>

#include <utility>

#include "lstmfast/types.h"

namespace lstmfast::bindings {

// A reference that is owned, or none.
class Reference {
 public:
  Reference() = default;
  static Reference stolen(PyObject* object) { return Reference(object); }
  static Reference borrowed(PyObject* object) { return Reference(Py_XNewRef(object)); }
  Reference(Reference&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Reference& operator=(Reference&& other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Reference() { Py_XDECREF(object_); }

  PyObject* get() const { return object_; }
  PyObject* release() { return std::exchange(object_, nullptr); }
  explicit operator bool() const { return object_; }

 private:
  explicit Reference(PyObject* object) : object_(object) {}

  PyObject* object_ = nullptr;
};

// Thrown when a function of Python has failed, with Python's error set.
struct PythonError {};

// An array as NumPy lays it out.
struct ArrayParts {
  PyObject_HEAD char* data;
  int axes;
  Py_ssize_t* sizes;
  Py_ssize_t* strides;
  PyObject* base;
  PyObject* dtype;
  int flags;
};

// The beginning of a dtype, which NumPy 1 and 2 have alike.
struct DtypeParts {
  PyObject_HEAD PyTypeObject* of_one;  // class of one number
  char kind, letter, byte_order, of_numpy_1;
  int number;
};

// Of NumPy, set when the module is made.
struct NumPy {
  PyTypeObject* array;
  PyObject *float32, *float64, *int64;  // dtypes
  PyObject* (*new_array)(PyTypeObject*, PyObject* dtype, int axes, const Py_ssize_t* sizes, const Py_ssize_t* strides,
                         void* data, int flags, PyObject* base);
};
inline NumPy numpy = {};

// Names that calls look up, interned, made with the module: a call must not find that there is no memory for them, and
// without a GIL the first of several would make them while others wait where the interpreter cannot stop them.
struct Names {
  PyObject *network, *batch_first, *out;
};
inline Names call_names = {};

template <class T>
PyObject* dtype_of();
template <>
inline PyObject* dtype_of<float>() {
  return numpy.float32;
}
template <>
inline PyObject* dtype_of<double>() {
  return numpy.float64;
}
template <>
inline PyObject* dtype_of<Index>() {
  return numpy.int64;
}

// Whether a dtype is this one. Arrays that have been pickled, such as what a process of workers sends, come with an
// equal one of their own. (Metadata says nothing of numbers.)
template <class T>
bool is_dtype_of(PyObject* dtype) {
  if (dtype == dtype_of<T>()) return true;
  const auto* const a = reinterpret_cast<const DtypeParts*>(dtype);
  const auto* const b = reinterpret_cast<const DtypeParts*>(dtype_of<T>());
  return a->of_one == b->of_one && a->number == b->number && a->byte_order == b->byte_order;
}

// The Python class of what this module has bound. Set where it is registered, and kept for good.
template <class Bound>
inline PyTypeObject* bound_type = nullptr;

// What a Python object of such a class holds, null for nothing.
void* bound_value(PyObject* object);

// `object` as what this module has bound it to, or null.
template <class Bound>
Bound* as_bound(PyObject* object) {
  return Py_TYPE(object) == bound_type<Bound> ? static_cast<Bound*>(bound_value(object)) : nullptr;
}

}  // namespace lstmfast::bindings
