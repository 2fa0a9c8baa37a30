#include "lstmfast/threads.h"

#include <cstdint>
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
  m.def("ignore_crowding", &ignore_crowding, pybind11::arg("ignore"), pybind11::pos_only());
  m.def(
      "lend_threads",
      [](std::uintptr_t parallel, std::uintptr_t thread_number, std::uintptr_t team_size, std::uintptr_t in_parallel) {
        if (!parallel || !thread_number || !team_size || !in_parallel)
          throw std::invalid_argument("expected the addresses of four functions, got 0");
        OpenMpRuntime runtime = {};
        runtime.parallel = reinterpret_cast<decltype(runtime.parallel)>(parallel);
        runtime.thread_number = reinterpret_cast<decltype(runtime.thread_number)>(thread_number);
        runtime.team_size = reinterpret_cast<decltype(runtime.team_size)>(team_size);
        runtime.in_parallel = reinterpret_cast<decltype(runtime.in_parallel)>(in_parallel);
        lend_threads(runtime);
      },
      pybind11::arg("parallel"), pybind11::arg("thread_number"), pybind11::arg("team_size"),
      pybind11::arg("in_parallel"));
}

}  // namespace lstmfast::bindings
