// A method that takes the usual arguments without passing through Python.
//
// A step of a small LSTM takes less time than the interpreter needs to check its arguments. So when a call brings just
// what the core takes, `answer` gives the result; everything else, mistakes included, goes to `general`, the Python
// function with all the checks and messages, which gives the same results.
#pragma once

#include "bindings/python.h"

namespace lstmfast::bindings {

// The result, or none when the arguments are not the usual ones. args: [count], the object whose method it
// is first. out: what came by the keyword `out`; null for nothing or None.
using Answer = Reference (*)(PyObject* const* args, Py_ssize_t count, PyObject* out);

// The class of what is made below; made once, when the module is.
Reference make_fast_method_type();

// `general` with a short way: found on an instance, it is bound to it as a function is.
Reference make_fast_method(PyObject* general, Answer answer);

// Of a model's __call__, and of streams' step, run and pools' step.
Reference answer_call(PyObject* const* args, Py_ssize_t count, PyObject* out);
Reference answer_step(PyObject* const* args, Py_ssize_t count, PyObject* out);
Reference answer_run(PyObject* const* args, Py_ssize_t count, PyObject* out);
Reference answer_pool_step(PyObject* const* args, Py_ssize_t count, PyObject* out);

// Functions of the module, of single steps on memory by address; the last one has no name.
PyMethodDef* cell_methods();

}  // namespace lstmfast::bindings
