#include "lstmfast/threads.h"

#include <stdexcept>
#include <string>

#include "bindings/register.h"

namespace lstmfast::bindings {

void register_threads(pybind11::module_& m) {
  m.def("get_num_threads", &get_num_threads);
  m.def(
      "set_num_threads",
      [](int threads) {
        if (threads < 1) throw std::invalid_argument("n: expected at least 1 thread, got " + std::to_string(threads));
        set_num_threads(threads);
      },
      pybind11::arg("n"), pybind11::pos_only());
}

}  // namespace lstmfast::bindings
