// The kernels' activations, for tests, and probes of the machine, for comparisons with its limits.
#include <algorithm>
#include <chrono>
#include <memory>
#include <vector>

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

// The best rate, in 1e9 units/s, of `work(repeats)`, which does `units` of something for each repeat.
template <class Work>
double best_rate(double seconds, double units, Work&& work) {
  using Clock = std::chrono::steady_clock;
  double best = 0;
  Index repeats = 1;
  for (double spent = 0; spent < seconds || best == 0;) {
    const auto start = Clock::now();
    work(repeats);
    const double elapsed = std::chrono::duration<double>(Clock::now() - start).count();
    spent += elapsed;
    // Rounds of about a millisecond: long against the clock, short against a disturbance.
    if (elapsed < 1e-3)
      repeats *= 2;
    else
      best = std::max(best, 1e-9 * units * static_cast<double>(repeats) / elapsed);
  }
  return best;
}

void require_seconds(double seconds) {
  if (!(seconds > 0 && seconds <= 60)) throw std::invalid_argument("seconds: expected more than 0 and at most 60");
}

template <class T>
double peak_of(const KernelTable<T>& table, double seconds) {
  const py::gil_scoped_release unlocked;
  return best_rate(seconds, 2.0 * static_cast<double>(kPeakChains * table.lanes),
                   [&](Index repeats) { table.multiply_adds(repeats); });
}

double peak_gflops(const std::string& isa, const std::string& dtype, double seconds) {
  require_seconds(seconds);
  if (dtype == "float32") return peak_of(kernels<float>(find_isa(isa)), seconds);
  if (dtype == "float64") return peak_of(kernels<double>(find_isa(isa)), seconds);
  throw std::invalid_argument("dtype: expected 'float32' or 'float64', got '" + dtype + "'");
}

double load_gbps(const std::string& isa, Index nbytes, double seconds) {
  require_seconds(seconds);
  const KernelTable<float>& table = kernels<float>(find_isa(isa));
  const Index block = kPeakChains * table.lanes;
  const Index count = nbytes / static_cast<Index>(sizeof(float)) / block * block;
  if (count < 1) throw std::invalid_argument("nbytes: expected at least " + std::to_string(block * 4));
  const py::gil_scoped_release unlocked;
  constexpr std::size_t line = 64;  // a load across two cache lines would count double
  std::size_t room = static_cast<std::size_t>(count) * sizeof(float) + line;
  const std::vector<float> memory(room / sizeof(float), 1.0f);
  void* aligned = const_cast<float*>(memory.data());
  std::align(line, 1, aligned, room);
  return best_rate(seconds, static_cast<double>(count) * sizeof(float),
                   [&](Index repeats) { table.loads(count, static_cast<const float*>(aligned), repeats); });
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
  m.def("load_gbps", &load_gbps, py::arg("isa"), py::arg("nbytes"), py::arg("seconds") = 0.05);
}

}  // namespace lstmfast::bindings
