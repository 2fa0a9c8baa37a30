#include "lstmfast/isa.h"

#include <pybind11/stl.h>

#include "bindings/register.h"
#include "lstmfast/caches.h"
#include "lstmfast/heuristics.h"

namespace lstmfast::bindings {

void register_isa(pybind11::module_& m) {
  m.def("available_isas", [] {
    std::vector<std::string> names;
    for (const Isa& isa : available_isas()) names.push_back(isa.name);
    return names;
  });
  m.def("caches", [] {
    const Caches& found = caches();
    pybind11::dict sizes;
    for (const auto& [name, bytes] : {std::pair("L1d", found.l1d), {"L2", found.l2}, {"L3", found.l3}})
      if (bytes) sizes[name] = bytes;
    return sizes;
  });
  m.def(
      "heuristics",
      [](const std::string& isa) {
        const Heuristics found = heuristics_for(kernels<float>(find_isa(isa)));
        pybind11::dict bytes;
        bytes["ask_from"] = found.ask_from;
        bytes["merge_few_from"] = found.merge_few_from;
        bytes["merge_from"] = found.merge_from;
        return bytes;
      },
      pybind11::arg("isa"));
}

}  // namespace lstmfast::bindings
