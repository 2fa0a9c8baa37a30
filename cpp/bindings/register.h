// What module.cpp registers, one function per subject.
#pragma once

#include <pybind11/pybind11.h>

namespace lstmfast::bindings {

void register_isa(pybind11::module_& m);
void register_threads(pybind11::module_& m);
void register_math(pybind11::module_& m);
void register_dense(pybind11::module_& m);
void register_optimizing(pybind11::module_& m);
void register_probes(pybind11::module_& m);
void register_network(pybind11::module_& m);
void register_small_network(pybind11::module_& m);
void register_memory(pybind11::module_& m);
void register_streams(pybind11::module_& m);
void register_stream_pools(pybind11::module_& m);
void register_fast(pybind11::module_& m);
void register_onnxruntime(pybind11::module_& m);
void register_jax(pybind11::module_& m);

}  // namespace lstmfast::bindings
