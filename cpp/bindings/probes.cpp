#include "lstmfast/probes.h"

#include <stdexcept>
#include <string>

#include "bindings/gil.h"
#include "bindings/register.h"
#include "lstmfast/isa.h"

namespace lstmfast::bindings {
namespace {

namespace py = pybind11;

void require_seconds(double seconds) {
  if (!(seconds > 0 && seconds <= 60)) throw std::invalid_argument("seconds: expected more than 0 and at most 60");
}

double bound_peak_gflops(const std::string& isa, const std::string& dtype, double seconds) {
  require_seconds(seconds);
  const Isa& found = find_isa(isa);
  if (dtype != "float32" && dtype != "float64")
    throw std::invalid_argument("dtype: expected 'float32' or 'float64', got '" + dtype + "'");
  return without_gil(
      [&] { return dtype == "float32" ? peak_gflops(*found.f32, seconds) : peak_gflops(*found.f64, seconds); });
}

double bound_load_gbps(const std::string& isa, Index nbytes, double seconds) {
  require_seconds(seconds);
  const Isa& found = find_isa(isa);
  return without_gil([&] { return load_gbps(*found.f32, nbytes, seconds); });
}

}  // namespace

void register_probes(py::module_& m) {
  m.def("peak_gflops", &bound_peak_gflops, py::arg("isa"), py::arg("dtype"), py::arg("seconds") = 0.05);
  m.def("load_gbps", &bound_load_gbps, py::arg("isa"), py::arg("nbytes"), py::arg("seconds") = 0.05);
}

}  // namespace lstmfast::bindings
