#include "bindings/arrays.h"

namespace lstmfast::bindings {

std::string shape_text(const py::array& array) {
  std::string text = "(";
  for (py::ssize_t d = 0; d < array.ndim(); ++d) text += (d ? ", " : "") + std::to_string(array.shape(d));
  return text + ")";
}

void require_shape(const py::array& array, std::initializer_list<Index> shape, const std::string& name) {
  if (std::equal(shape.begin(), shape.end(), array.shape(), array.shape() + array.ndim())) return;
  std::string expected;
  for (const Index size : shape) expected += (expected.empty() ? "" : ", ") + std::to_string(size);
  throw std::invalid_argument(name + ": expected shape (" + expected + "), got " + shape_text(array));
}

void require_alignment(const py::array& array, const std::string& name) {
  if (reinterpret_cast<std::uintptr_t>(array.data()) % static_cast<std::size_t>(array.itemsize()))
    throw std::invalid_argument(name + ": expected an aligned array");
}

void require_c_order(const py::array& array, const std::string& name) {
  if (!(array.flags() & py::array::c_style)) throw std::invalid_argument(name + ": expected an array in C order");
}

void require_writeable(const py::array& array, const std::string& name) {
  if (!array.writeable()) throw std::invalid_argument(name + ": expected a writeable array");
}

}  // namespace lstmfast::bindings
