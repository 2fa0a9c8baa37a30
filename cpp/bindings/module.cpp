// lstmfast._core: the table of contents. Documented in python/lstmfast/_core.pyi.
#include "bindings/register.h"

PYBIND11_MODULE(_core, m, pybind11::mod_gil_not_used()) {
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
