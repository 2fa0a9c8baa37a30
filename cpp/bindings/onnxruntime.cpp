// What Python has to tell our execution provider, and to ask it. ONNX Runtime itself finds it by two exported
// functions.
#include <pybind11/stl.h>

#include "bindings/register.h"
#include "lstmfast/onnxruntime.h"

namespace lstmfast::bindings {

void register_onnxruntime(pybind11::module_& m) {
  m.attr("onnxruntime_provider") = onnxruntime::kProvider;
  m.def(
      "onnxruntime_use_isa", [](const std::string& isa) { onnxruntime::use_isa(find_isa(isa)); }, pybind11::arg("isa"));
  m.def("onnxruntime_open_report", &onnxruntime::open_report, pybind11::arg("name"));
  m.def(
      "onnxruntime_close_report",
      [](const std::string& name) {
        pybind11::list decisions;
        for (const onnxruntime::Decision& one : onnxruntime::close_report(name))
          decisions.append(pybind11::make_tuple(one.graph, one.name, one.op, one.output, one.reason));
        return decisions;
      },
      pybind11::arg("name"));
}

}  // namespace lstmfast::bindings
