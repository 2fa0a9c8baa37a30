// Custom calls for JAX: the handlers that XLA calls, by their addresses, and what can be told them.
//
// Each is of XLA's type XLA_FFI_Handler (cpp/jax/api.h says what we know of it). docs/design.md says what each takes.
#pragma once

#include <vector>

#include "lstmfast/isa.h"
#include "lstmfast/network.h"

namespace lstmfast::jax {

struct Handler {
  const char* name;  // of the target that it is to be registered as
  void* function;
};
const std::vector<Handler>& handlers();

// What calls run on; by itself the fastest.
void use_isa(const Isa& isa);

// Numbers of T that a tape takes as an array of JAX's, with what a backward pass finds its weights by. options: as for
// Tape::numbers.
template <class T>
Index tape_numbers(const NetworkShape& shape, Index places, Index rows, const TrainingOptions<T>& options);

// Networks packed for earlier calls, which are kept for later ones: how many there are, and an end to all of them.
struct KeptNetworks {
  Index count, bytes;
};
KeptNetworks kept_networks();
void drop_networks();

}  // namespace lstmfast::jax
