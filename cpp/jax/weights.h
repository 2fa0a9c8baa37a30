// Weights, which come with every call, as networks: packed once, and found again while they are the same.
//
// XLA may have other numbers at the same addresses in the next call, so weights are known by their fingerprint. What
// was used last is kept, within bounds; a network of a training step, whose weights are not to be seen again, gives way
// to its successor.
#pragma once

#include <memory>

#include "core/asking.h"
#include "jax/request.h"
#include "lstmfast/isa.h"

namespace lstmfast::jax {

template <class T>
struct Kept {
  Kept(const NetworkShape& shape, const PassParameters<const T>* passes, const KernelTable<T>& table)
      : network(shape, passes, table) {}

  const Network<T> network;
  mutable Asking asking;  // for threads of XLA's
};

// fingerprint: that of the weights.
template <class T>
std::shared_ptr<const Kept<T>> network_of(const NetworkShape& shape, const Weights<T>& weights,
                                          const Fingerprint& fingerprint);

template <class T>
Fingerprint fingerprint_of(const Weights<T>& weights);

// A backward pass has been made with it: weights are about to change.
void has_been_trained(const void* kept);

}  // namespace lstmfast::jax
