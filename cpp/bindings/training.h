// What a network's forward and backward passes are in Python, and the tape between them.
#pragma once

#include "bindings/calls.h"

namespace lstmfast::bindings {

// Registers Tape32 or Tape64, and the methods that make and use it. The network is registered before.
template <class T>
void register_training(py::module_& m, py::class_<Network<T>, std::shared_ptr<Network<T>>>& network,
                       const char* tape_name);

}  // namespace lstmfast::bindings
