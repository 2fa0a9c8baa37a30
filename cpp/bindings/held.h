// Objects of this module's classes: what is noted down about one, too, is memory, and where that cannot be had it must
// be a MemoryError, and no object.
#pragma once

#include <utility>

#include "bindings/arguments.h"

namespace lstmfast::bindings {

// A class' tp_new, in the place of pybind11's; with an exception set where there is no memory.
inline PyObject* new_instance(PyTypeObject* type, PyObject*, PyObject*) {
  PyObject* const made = type->tp_alloc(type, 0);
  // Takes no memory: classes of one C++ class have room for it, and remember() has had this one looked at.
  if (made) reinterpret_cast<py::detail::instance*>(made)->allocate_layout();
  return made;
}

// __new__ of the class that it is bound to, which says that it is no other's: the classes are final.
inline PyObject* call_new(PyObject* type, PyObject* arguments, PyObject*) {
  if (PyTuple_GET_SIZE(arguments) > 0 && PyTuple_GET_ITEM(arguments, 0) == type)
    return new_instance(reinterpret_cast<PyTypeObject*>(type), nullptr, nullptr);
  PyErr_Format(PyExc_TypeError, "__new__: expected %R and its arguments", type);
  return nullptr;
}
inline PyMethodDef new_method = {"__new__", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(call_new)),
                                 METH_VARARGS | METH_KEYWORDS, nullptr};

// Has a new instance hold an object, or nothing.
template <class Object>
void hold(py::detail::value_and_holder& place, const Shared<Object>& object) {
  place.value_ptr() = object.get();
  try {
    place.type->init_instance(place.inst, &object);
  } catch (...) {
    place.value_ptr() = nullptr;  // or it would be freed with the instance, beside its owner
    throw;
  }
}

// py::init of a function that makes one. Beside it goes py::detail::is_new_style_constructor().
template <class Object, class... Arguments>
auto init_with(Shared<Object> (*make)(Arguments...)) {
  return [make](py::detail::value_and_holder& place, Arguments... arguments) {
    hold<Object>(place, make(std::forward<Arguments>(arguments)...));
  };
}

// py::cast of one that has no instance yet.
template <class Object>
py::object object_of(const Shared<Object>& object) {
  PyTypeObject* const type = bound_type<Object>;
  auto made = py::reinterpret_steal<py::object>(new_instance(type, nullptr, nullptr));
  if (!made) throw py::error_already_set();
  auto* const instance = reinterpret_cast<py::detail::instance*>(made.ptr());
  py::detail::value_and_holder place = instance->get_value_and_holder(py::detail::get_type_info(type));
  hold<Object>(place, object);
  return made;
}

// Makes the class of `Object` known to as_bound (python.h), and has its instances made as above.
template <class Object>
void remember(const py::class_<Object, Shared<Object>>& type) {
  auto* const made = reinterpret_cast<PyTypeObject*>(Py_NewRef(type.ptr()));
  py::detail::all_type_info(made);  // which is kept
  made->tp_new = new_instance;
  // As Python does for classes whose tp_new is their own.
  const auto method = py::reinterpret_steal<py::object>(PyCFunction_NewEx(&new_method, type.ptr(), nullptr));
  if (!method || PyDict_SetItemString(made->tp_dict, "__new__", method.ptr())) throw py::error_already_set();
  PyType_Modified(made);
  bound_type<Object> = made;
}

}  // namespace lstmfast::bindings
