// Registers what takes calls without pybind11 (fast_method.h), and gives it what it needs of NumPy and of pybind11.
#include <cstddef>

#include "bindings/arrays.h"
#include "bindings/fast_method.h"
#include "bindings/register.h"
#include "bindings/stream_parts.h"

namespace lstmfast::bindings {
namespace {

using Proxy = py::detail::PyArray_Proxy;
static_assert(offsetof(ArrayParts, data) == offsetof(Proxy, data) &&
              offsetof(ArrayParts, axes) == offsetof(Proxy, nd) &&
              offsetof(ArrayParts, sizes) == offsetof(Proxy, dimensions) &&
              offsetof(ArrayParts, dtype) == offsetof(Proxy, descr) &&
              offsetof(ArrayParts, flags) == offsetof(Proxy, flags));
static_assert(std::is_same_v<Index, py::ssize_t>);

// What `make` makes, with the exceptions that pybind11 knows.
template <class Make>
py::object made_by(const Make& make) {
  try {
    return py::reinterpret_steal<py::object>(make().release());
  } catch (const PythonError&) {
    throw py::error_already_set();
  }
}

template <Answer answer>
py::object fast_method(const py::function& general) {
  return made_by([&] { return make_fast_method(general.ptr(), answer); });
}

PyObject* interned(const char* name) {
  PyObject* const made = PyUnicode_InternFromString(name);
  if (!made) throw py::error_already_set();
  return made;
}

}  // namespace

void* bound_value(PyObject* object) {
  auto* const instance = reinterpret_cast<py::detail::instance*>(object);
  return instance->simple_layout ? instance->simple_value_holder[0] : instance->get_value_and_holder().value_ptr();
}

void register_fast(py::module_& m) {
  const auto& api = py::detail::npy_api::get();
  numpy = {api.PyArray_Type_, py::dtype::of<float>().release().ptr(), py::dtype::of<double>().release().ptr(),
           py::dtype::of<Index>().release().ptr(), api.PyArray_NewFromDescr_};
  call_names = {interned("_network"), interned("_batch_first"), interned("out")};
  made_by(make_fast_method_type);
  m.attr("StreamParts") = made_by(make_stream_parts_type);
  m.def("fast_call", &fast_method<answer_call>, py::arg("general"), py::pos_only());
  m.def("fast_step", &fast_method<answer_step>, py::arg("general"), py::pos_only());
  m.def("fast_run", &fast_method<answer_run>, py::arg("general"), py::pos_only());
  m.def("fast_pool_step", &fast_method<answer_pool_step>, py::arg("general"), py::pos_only());
  if (PyModule_AddFunctions(m.ptr(), cell_methods())) throw py::error_already_set();
}

}  // namespace lstmfast::bindings
