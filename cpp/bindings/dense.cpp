// A dense layer's products.
#include "lstmfast/dense.h"
#include "bindings/arguments.h"
#include "bindings/gil.h"
#include "bindings/register.h"
#include "lstmfast/isa.h"

namespace lstmfast::bindings {
namespace {

// x [N, I] and weight [K, I].
template <class T>
DenseShape shape_of_dense(const Array<T>& x, const Array<T>& weight) {
  if (weight.ndim() != 2 || x.ndim() != 2)
    throw std::invalid_argument("x, weight: expected two axes, got shapes " + shape_text(x) + " and " +
                                shape_text(weight));
  return {x.shape(0), weight.shape(1), weight.shape(0)};
}

template <class T>
py::object forward_dense(Given x_given, Given weight_given, Given bias_given, const std::string& isa) {
  const Array<T> x = array_from<T>(x_given, "x"), weight = array_from<T>(weight_given, "weight");
  const OptionalArray<T> bias = optional_array_from<T>(bias_given, "bias");
  const DenseShape shape = shape_of_dense(x, weight);
  const Index N = shape.rows, I = shape.in_features, K = shape.out_features;
  Array<T> z = new_array<T>({N, K});
  const DenseForward<T> call = {shape, dense(x, {N, I}, "x"), dense(weight, {K, I}, "weight"),
                                dense_or_null(bias, {K}, "bias"), z.mutable_data()};
  const KernelTable<T>& table = kernels<T>(find_isa(isa));
  without_gil_if_long(N * I * K, [&] { dense_forward(table, call); });
  return z;
}

template <class T>
py::object backward_dense(Given x_given, Given weight_given, Given dz_given, const std::string& isa) {
  const Array<T> x = array_from<T>(x_given, "x"), weight = array_from<T>(weight_given, "weight");
  const Array<T> dz = array_from<T>(dz_given, "dz");
  const DenseShape shape = shape_of_dense(x, weight);
  const Index N = shape.rows, I = shape.in_features, K = shape.out_features;
  Array<T> dx = new_array<T>({N, I}), dweight = new_array<T>({K, I}), dbias = new_array<T>({K});
  const DenseBackward<T> call = {shape,
                                 dense(x, {N, I}, "x"),
                                 dense(weight, {K, I}, "weight"),
                                 dense(dz, {N, K}, "dz"),
                                 dx.mutable_data(),
                                 dweight.mutable_data(),
                                 dbias.mutable_data()};
  const KernelTable<T>& table = kernels<T>(find_isa(isa));
  without_gil_if_long(N * I * K, [&] { dense_backward(table, call); });
  return py::make_tuple(dx, dweight, dbias);
}

py::object forward_dense_of_any(Given x, Given weight, Given bias, const std::string& isa) {
  if (Array<double>::check_(weight)) return forward_dense<double>(x, weight, bias, isa);
  return forward_dense<float>(x, weight, bias, isa);
}

py::object backward_dense_of_any(Given x, Given weight, Given dz, const std::string& isa) {
  if (Array<double>::check_(weight)) return backward_dense<double>(x, weight, dz, isa);
  return backward_dense<float>(x, weight, dz, isa);
}

}  // namespace

void register_dense(py::module_& m) {
  m.def("dense_forward", &forward_dense_of_any, py::arg("x"), py::arg("weight"), py::arg("bias"), py::arg("isa"),
        py::pos_only());
  m.def("dense_backward", &backward_dense_of_any, py::arg("x"), py::arg("weight"), py::arg("dz"), py::arg("isa"),
        py::pos_only());
}

}  // namespace lstmfast::bindings
