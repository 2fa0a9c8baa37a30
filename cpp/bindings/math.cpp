// The kernels' activations, for tests.

#include "bindings/arrays.h"
#include "bindings/gil.h"
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
  without_gil([&] { (table.*activation)(n, from, to); });
  return y;
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
}

}  // namespace lstmfast::bindings
