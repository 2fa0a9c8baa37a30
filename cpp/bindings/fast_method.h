// A method that takes the usual arguments without passing through Python.
//
// A step of a small LSTM takes less time than the interpreter needs to check its arguments. So when a call brings just
// what the core takes, `answer` gives the result; everything else, mistakes included, goes to `general`, the Python
// function with all the checks and messages, which gives the same results.
#pragma once

#include <pybind11/pybind11.h>

namespace lstmfast::bindings {

namespace py = pybind11;

// The result, or an empty object when the arguments are not the usual ones. args: [count], the object whose method it
// is first. out: what came by the keyword `out`; null for nothing or None.
using Answer = py::object (*)(PyObject* const* args, Py_ssize_t count, PyObject* out);

// `general` with a short way: found on an instance, it is bound to it as a function is.
py::object make_fast_method(const py::function& general, Answer answer);

}  // namespace lstmfast::bindings
