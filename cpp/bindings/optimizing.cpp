// The norm of gradients, and Adam's step.
#include "lstmfast/optimizing.h"
#include "bindings/arguments.h"
#include "bindings/gil.h"
#include "bindings/register.h"
#include "lstmfast/kept_memory.h"

namespace lstmfast::bindings {
namespace {

// The numbers of an array of any shape, in C order.
template <class T>
const T* numbers(const Array<T>& array, const char* name) {
  require_alignment(array, name);
  require_c_order(array, name);
  return array.data();
}

// A new array of another's shape; a large one in memory that the core keeps for later steps when it is freed: the
// system takes longer to find new pages than a step to fill them.
template <class T>
Array<T> array_like(const Array<T>& other) {
  const std::vector<py::ssize_t> shape(other.shape(), other.shape() + other.ndim());
  if (other.nbytes() < kSmallCopy) return Array<T>(shape);
  auto memory = std::make_unique<KeptMemory>(other.nbytes());
  T* const data = static_cast<T*>(memory->data());
  const py::capsule owner(memory.get(), [](void* owned) { delete static_cast<KeptMemory*>(owned); });
  memory.release();
  return Array<T>(shape, data, owner);
}

template <class T>
double largest_of(const Array<T>& x) {
  const T* const data = numbers(x, "x");
  return without_gil_if_large(x.nbytes(), [&] { return largest_magnitude(data, x.size()); });
}

double largest(Given x) {
  if (Array<double>::check_(x)) return largest_of(array_from<double>(x, "x"));
  return largest_of(array_from<float>(x, "x"));
}

template <class T>
double squares_of(const Array<T>& x, double unit) {
  const T* const data = numbers(x, "x");
  return without_gil_if_large(x.nbytes(), [&] { return sum_of_squares(data, x.size(), unit); });
}

double squares(Given x, double unit) {
  if (Array<double>::check_(x)) return squares_of(array_from<double>(x, "x"), unit);
  return squares_of(array_from<float>(x, "x"), unit);
}

// As Python has them, and as the core takes them.
using GivenRates = std::array<double, 5>;  // beta1, beta2, rate, root_correction, eps

template <class T>
AdamRates<T> rates_of(const GivenRates& given) {
  return {static_cast<T>(1 - given[0]), static_cast<T>(given[1]), static_cast<T>(1 - given[1]),
          static_cast<T>(given[2]),     static_cast<T>(given[3]), static_cast<T>(given[4])};
}

template <class T>
py::object adam_of(Given weight_given, Given gradient_given, Given mean_given, Given square_given,
                   const GivenRates& rates) {
  const auto weight = array_from<T>(weight_given, "weight"), gradient = array_from<T>(gradient_given, "gradient");
  const auto mean = array_from<T>(mean_given, "mean"), square = array_from<T>(square_given, "square");
  const T* const from[] = {numbers(weight, "weight"), numbers(gradient, "gradient"), numbers(mean, "mean"),
                           numbers(square, "square")};
  for (const Array<T>* other : {&gradient, &mean, &square})
    if (other->size() != weight.size())
      throw std::invalid_argument("weight, gradient, mean, square: expected arrays of one shape, got " +
                                  shape_text(weight) + " and " + shape_text(*other));
  Array<T> new_weight = array_like(weight), new_mean = array_like(weight), new_square = array_like(weight);
  const AdamArrays<T> arrays = {weight.size(),
                                from[0],
                                from[1],
                                from[2],
                                from[3],
                                new_weight.mutable_data(),
                                new_mean.mutable_data(),
                                new_square.mutable_data()};
  const AdamRates<T> own = rates_of<T>(rates);
  if (!without_gil_if_large(weight.nbytes(), [&] { return adam_step(own, arrays); })) return py::none();
  return py::make_tuple(new_weight, new_mean, new_square);
}

py::object adam(Given weight, Given gradient, Given mean, Given square, double beta1, double beta2, double rate,
                double root_correction, double eps) {
  const GivenRates rates = {beta1, beta2, rate, root_correction, eps};
  if (Array<double>::check_(weight)) return adam_of<double>(weight, gradient, mean, square, rates);
  return adam_of<float>(weight, gradient, mean, square, rates);
}

}  // namespace

void register_optimizing(py::module_& m) {
  m.def("largest", &largest, py::arg("x"), py::pos_only());
  m.def("sum_of_squares", &squares, py::arg("x"), py::arg("unit"), py::pos_only());
  m.def("adam", &adam, py::arg("weight"), py::arg("gradient"), py::arg("mean"), py::arg("square"), py::arg("beta1"),
        py::arg("beta2"), py::arg("rate"), py::arg("root_correction"), py::arg("eps"), py::pos_only());
}

}  // namespace lstmfast::bindings
