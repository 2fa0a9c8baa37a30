// The kernels' activations, for tests.

#include "bindings/arguments.h"
#include "bindings/gil.h"
#include "bindings/register.h"
#include "lstmfast/isa.h"

namespace lstmfast::bindings {
namespace {

template <class T>
using MathFunction = void (*KernelTable<T>::*)(Index, const T*, T*);

template <class T>
py::object apply_to(const Array<T>& x, const std::string& isa, MathFunction<T> activation) {
  const KernelTable<T>& table = kernels<T>(find_isa(isa));
  if (x.ndim() != 1) throw std::invalid_argument("x: expected one axis, got shape " + shape_text(x));
  const T* const from = dense(x, {x.shape(0)}, "x");
  Array<T> y({x.shape(0)});
  T* const to = y.mutable_data();
  const Index n = x.shape(0);
  without_gil([&] { (table.*activation)(n, from, to); });
  return y;
}

py::object apply(Given x, const std::string& isa, MathFunction<float> single, MathFunction<double> twice) {
  if (Array<double>::check_(x)) return apply_to(array_from<double>(x, "x"), isa, twice);
  return apply_to(array_from<float>(x, "x"), isa, single);
}

py::object apply_sigmoid(Given x, const std::string& isa) {
  return apply(x, isa, &KernelTable<float>::sigmoid, &KernelTable<double>::sigmoid);
}

py::object apply_tanh(Given x, const std::string& isa) {
  return apply(x, isa, &KernelTable<float>::tanh, &KernelTable<double>::tanh);
}

}  // namespace

void register_math(py::module_& m) {
  m.def("sigmoid", &apply_sigmoid, py::arg("x"), py::arg("isa"));
  m.def("tanh", &apply_tanh, py::arg("x"), py::arg("isa"));
}

}  // namespace lstmfast::bindings
