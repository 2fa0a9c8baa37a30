// The kernels' activations and their FMA peak, for tests and measurements.
#include <chrono>

#include "bindings/arrays.h"
#include "bindings/register.h"
#include "lstmfast/isa.h"

namespace lstmfast::bindings {
namespace {

template <class T>
using Activation = void (*KernelTable<T>::*)(Index, const T*, T*);

template <class T>
Array<T> apply(const Array<T>& x, const std::string& isa, Activation<T> activation) {
  const KernelTable<T>& table = kernels<T>(find_isa(isa));
  if (x.ndim() != 1) throw std::invalid_argument("x: expected one axis, got shape " + shape_text(x));
  const T* const from = dense(x, {x.shape(0)}, "x");
  Array<T> y({x.shape(0)});
  T* const to = y.mutable_data();
  const Index n = x.shape(0);
  const py::gil_scoped_release unlocked;
  (table.*activation)(n, from, to);
  return y;
}

template <class T>
double peak_of(const KernelTable<T>& table, double seconds) {
  using Clock = std::chrono::steady_clock;
  const py::gil_scoped_release unlocked;
  double best = 0;
  Index repeats = 1000;
  for (double spent = 0; spent < seconds;) {
    const auto start = Clock::now();
    table.multiply_adds(repeats);
    const double elapsed = std::chrono::duration<double>(Clock::now() - start).count();
    spent += elapsed;
    // Rounds of about a millisecond: long against the clock, short against a disturbance.
    if (elapsed < 1e-3)
      repeats *= 2;
    else
      best = std::max(best, 2e-9 * static_cast<double>(repeats * kPeakChains * table.lanes) / elapsed);
  }
  return best;
}

double peak_gflops(const std::string& isa, const std::string& dtype, double seconds) {
  if (!(seconds > 0 && seconds <= 60)) throw std::invalid_argument("seconds: expected more than 0 and at most 60");
  if (dtype == "float32") return peak_of(kernels<float>(find_isa(isa)), seconds);
  if (dtype == "float64") return peak_of(kernels<double>(find_isa(isa)), seconds);
  throw std::invalid_argument("dtype: expected 'float32' or 'float64', got '" + dtype + "'");
}

template <class T>
void register_activations(py::module_& m) {
  m.def(
      "sigmoid", [](const Array<T>& x, const std::string& isa) { return apply<T>(x, isa, &KernelTable<T>::sigmoid); },
      py::arg("x").noconvert(), py::arg("isa"));
  m.def(
      "tanh", [](const Array<T>& x, const std::string& isa) { return apply<T>(x, isa, &KernelTable<T>::tanh); },
      py::arg("x").noconvert(), py::arg("isa"));
}

}  // namespace

void register_math(py::module_& m) {
  register_activations<float>(m);
  register_activations<double>(m);
  m.def("peak_gflops", &peak_gflops, py::arg("isa"), py::arg("dtype"), py::arg("seconds") = 0.05);
}

}  // namespace lstmfast::bindings
