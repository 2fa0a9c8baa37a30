#include "bindings/arguments.h"

namespace lstmfast::bindings {
namespace {

std::string name_of(const py::type& type) { return py::str(type.attr("__name__")); }

}  // namespace

void refuse_array(Given given, const py::dtype& dtype, const char* name) {
  const std::string came =
      py::isinstance<py::array>(given) ? std::string(py::str(given.attr("dtype"))) : name_of(py::type::of(given));
  throw py::type_error(std::string(name) + ": expected an array of " + std::string(py::str(dtype)) + ", got " + came);
}

void refuse_object(Given given, const py::type& type, const char* name) {
  const py::type came = py::type::of(given);
  throw py::type_error(std::string(name) + ": expected a " + name_of(type) + ", got " +
                       (came.is(type) ? "one that was never initialised" : name_of(came)));
}

}  // namespace lstmfast::bindings
