// lstmfast._core: the table of contents. Documented in python/lstmfast/_core.pyi.
#include <stdexcept>

#include "bindings/register.h"

namespace lstmfast::bindings {
namespace {

// Where Python has no memory for a tuple or a number, pybind11 throws what becomes a RuntimeError, over the MemoryError
// that Python has set: that one is to stay.
void keep_memory_errors(std::exception_ptr thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::runtime_error&) {
    if (!PyErr_Occurred() || !PyErr_ExceptionMatches(PyExc_MemoryError)) throw;
  }
}

}  // namespace
}  // namespace lstmfast::bindings

PYBIND11_MODULE(_core, m, pybind11::mod_gil_not_used()) {
  pybind11::register_local_exception_translator(&lstmfast::bindings::keep_memory_errors);
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
