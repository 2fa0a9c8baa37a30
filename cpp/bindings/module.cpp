// lstmfast._core: the table of contents. Documented in python/lstmfast/_core.pyi.
#include <stdexcept>

#include "bindings/register.h"

namespace {

// NumPy, types and names are kept once for the process, and are objects of one interpreter: another would put its own
// in their place, and take them along when it ends. And pybind11 looks for the GIL in ways that may wait for ever
// there.
bool is_subinterpreter() { return PyInterpreterState_Get() != PyInterpreterState_Main(); }

constexpr const char* kMainOnly =
    "lstmfast: expected to be imported by the main interpreter of a process, got a subinterpreter; use threads or "
    "processes";

}  // namespace

// What Python calls is ours, below, and pybind11's gets another name: it must not run at all where it cannot be.
#define PyInit__core lstmfast_init_core
PYBIND11_MODULE(_core, m, pybind11::mod_gil_not_used()) {
  if (is_subinterpreter()) throw std::runtime_error(kMainOnly);  // Python 3.13 calls what is below from the main one
  m.attr("__version__") = LSTMFAST_VERSION;
  lstmfast::bindings::register_isa(m);
  lstmfast::bindings::register_threads(m);
  lstmfast::bindings::register_math(m);
  lstmfast::bindings::register_probes(m);
  lstmfast::bindings::register_network(m);
  lstmfast::bindings::register_small_network(m);
  lstmfast::bindings::register_memory(m);
  lstmfast::bindings::register_streams(m);
  lstmfast::bindings::register_stream_pools(m);
  lstmfast::bindings::register_fast(m);
  lstmfast::bindings::register_onnxruntime(m);
  lstmfast::bindings::register_jax(m);
}
#undef PyInit__core

PyMODINIT_FUNC PyInit__core() {
  if (!is_subinterpreter()) return lstmfast_init_core();
  PyErr_SetString(PyExc_ImportError, kMainOnly);
  return nullptr;
}
