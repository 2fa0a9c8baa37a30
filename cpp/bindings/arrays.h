// NumPy arrays as the core's pointers: no conversion, and no array that could lead outside its memory.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "lstmfast/network.h"

namespace lstmfast::bindings {

namespace py = pybind11;

// Of dtype T in native byte order, with any strides; never converted where an argument is noconvert().
template <class T>
using Array = py::array_t<T, 0>;

std::string shape_text(const py::array& array);

// Each throws std::invalid_argument.
void require_shape(const py::array& array, std::initializer_list<Index> shape, const std::string& name);
void require_alignment(const py::array& array, const std::string& name);  // to its numbers
void require_c_order(const py::array& array, const std::string& name);
void require_writeable(const py::array& array, const std::string& name);

// A C-ordered array of exactly this shape.
template <class T>
const T* dense(const Array<T>& array, std::initializer_list<Index> shape, const std::string& name) {
  require_shape(array, shape, name);
  require_alignment(array, name);
  require_c_order(array, name);
  return array.data();
}

template <class T>
const T* dense_or_null(const std::optional<Array<T>>& array, std::initializer_list<Index> shape,
                       const std::string& name) {
  return array ? dense(*array, shape, name) : nullptr;
}

// A new C-ordered array. Sizes whose strides would overflow are memory that cannot be had, even where one is 0.
template <class T>
Array<T> new_array(std::initializer_list<Index> shape) {
  Index bytes = sizeof(T);
  for (const Index size : shape)
    if (__builtin_mul_overflow(bytes, std::max<Index>(size, 1), &bytes)) throw std::bad_alloc();
  return Array<T>(std::vector<py::ssize_t>(shape));
}

// The memory of a result: an array given for it, or a new one.
template <class T>
Array<T> result_array(const std::optional<Array<T>>& given, std::initializer_list<Index> shape,
                      const std::string& name) {
  if (!given) return new_array<T>(shape);
  dense(*given, shape, name);
  require_writeable(*given, name);
  return *given;
}

// [T, B, features], or [B, T, features] with batch_first, features dense, T and B with any strides.
// The stride of an axis of one entry is never used and may be anything, as are all of an empty array's.
template <class T>
Sequence<const T> sequence(const Array<T>& array, bool batch_first, const std::string& name) {
  constexpr auto size = static_cast<py::ssize_t>(sizeof(T));
  require_alignment(array, name);
  const auto used = [&](py::ssize_t axis) { return array.size() > 0 && array.shape(axis) > 1; };
  for (const py::ssize_t axis : {0, 1})
    if (used(axis) && array.strides(axis) % size)
      throw std::invalid_argument(name + ": expected strides of whole elements");
  if (used(2) && array.strides(2) != size) throw std::invalid_argument(name + ": expected a dense last axis");
  const Index first = used(0) ? array.strides(0) / size : 0, second = used(1) ? array.strides(1) / size : 0;
  return {array.data(), batch_first ? second : first, batch_first ? first : second};
}

// A packed sequence, [N, features] with dense rows.
template <class T>
Sequence<const T> packed_sequence(const Array<T>& array, const std::string& name) {
  require_alignment(array, name);
  require_c_order(array, name);
  return {array.data(), 0, array.shape(1)};
}

template <class T>
Sequence<T> writable_sequence(Array<T>& array, bool batch_first) {
  if (array.ndim() == 2) return {array.mutable_data(), 0, array.shape(1)};  // packed
  const Index features = array.shape(2);
  const Index inner = array.shape(1) * features;
  T* const data = array.mutable_data();
  return batch_first ? Sequence<T>{data, features, inner} : Sequence<T>{data, inner, features};
}

}  // namespace lstmfast::bindings
