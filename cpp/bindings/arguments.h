// Arguments as they come, and what they must be.
//
// pybind11 compiles a function of its own for each list of argument types that it binds, and takes longer over it than
// over all that the function does. So what there is for float and for double takes objects, and looks at them itself:
// both have one list of types, and many methods share it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "bindings/arrays.h"
#include "bindings/python.h"

namespace lstmfast::bindings {

using Given = const py::object&;

// How this module's objects are held.
template <class Object>
using Shared = std::shared_ptr<Object>;

template <class T>
using OptionalArray = std::optional<Array<T>>;

// TypeError for what came in the place of an array of `dtype`.
[[noreturn]] void refuse_array(Given given, const py::dtype& dtype, const char* name);
// Likewise of an object of one of this module's classes.
[[noreturn]] void refuse_object(Given given, const py::type& type, const char* name);

template <class T>
Array<T> array_from(Given given, const char* name) {
  if (!Array<T>::check_(given)) refuse_array(given, py::dtype::of<T>(), name);
  return py::reinterpret_borrow<Array<T>>(given);
}

template <class T>
OptionalArray<T> optional_array_from(Given given, const char* name) {
  if (given.is_none()) return {};
  return array_from<T>(given, name);
}

// Not for longer than `given` is there. The classes are final: no other has such objects. An object that was never
// initialised (made by __new__ alone) holds nothing.
template <class Object>
Object& object_from(Given given, const char* name = "self") {
  Object* const found = as_bound<Object>(given.ptr());
  if (!found) refuse_object(given, py::type::of<Object>(), name);
  return *found;
}

}  // namespace lstmfast::bindings
