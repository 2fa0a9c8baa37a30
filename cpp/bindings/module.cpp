// lstmfast._core: the table of contents. Documented in python/lstmfast/_core.pyi.
#include <stdexcept>

#include "bindings/python.h"
#include "bindings/register.h"

namespace lstmfast::bindings {
namespace {

// Python's own error is set already, and is to stay: where PythonError says so, and where Python has no memory for a
// tuple or a number, of which pybind11 would make a RuntimeError over the MemoryError.
void keep_pythons_error(std::exception_ptr thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const PythonError&) {
  } catch (const std::runtime_error&) {
    if (!PyErr_Occurred() || !PyErr_ExceptionMatches(PyExc_MemoryError)) throw;
  }
}

// NumPy, types and names are kept once for the process, and are objects of one interpreter: another would put its own
// in their place, and take them along when it ends.
bool is_subinterpreter() { return PyInterpreterState_Get() != PyInterpreterState_Main(); }

constexpr const char* kMainOnly =
    "lstmfast: expected to be imported by the main interpreter of a process, got a subinterpreter; use threads or "
    "processes";

}  // namespace
}  // namespace lstmfast::bindings

// What Python calls is ours, below, and pybind11's gets another name: it must not run at all where it cannot be.
#define PyInit__core lstmfast_init_core
PYBIND11_MODULE(_core, m, pybind11::mod_gil_not_used()) {
  using namespace lstmfast::bindings;
  if (is_subinterpreter()) throw std::runtime_error(kMainOnly);  // Python 3.13 calls what is below from the main one
  pybind11::register_local_exception_translator(&keep_pythons_error);
  m.attr("__version__") = LSTMFAST_VERSION;
  register_isa(m);
  register_threads(m);
  register_math(m);
  register_dense(m);
  register_optimizing(m);
  register_probes(m);
  register_network(m);
  register_small_network(m);
  register_memory(m);
  register_streams(m);
  register_stream_pools(m);
  register_fast(m);
  register_onnxruntime(m);
  register_jax(m);
}
#undef PyInit__core

PyMODINIT_FUNC PyInit__core() {
  if (!lstmfast::bindings::is_subinterpreter()) return lstmfast_init_core();
  PyErr_SetString(PyExc_ImportError, lstmfast::bindings::kMainOnly);
  return nullptr;
}
