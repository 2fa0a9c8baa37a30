#include "lstmfast/isa.h"

#include <pybind11/stl.h>

#include "bindings/register.h"

namespace lstmfast::bindings {

void register_isa(pybind11::module_& m) {
  m.def("available_isas", [] {
    std::vector<std::string> names;
    for (const Isa& isa : available_isas()) names.push_back(isa.name);
    return names;
  });
}

}  // namespace lstmfast::bindings
