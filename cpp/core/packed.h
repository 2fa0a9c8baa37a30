// What a Network holds.
#pragma once

#include <atomic>
#include <deque>

#include "core/packing.h"
#include "lstmfast/network.h"

namespace lstmfast {

template <class T>
struct Network<T>::Packed {
  Packed(const NetworkShape& network_shape, const PassParameters<const T>* weights, const KernelTable<T>& table);

  NetworkShape shape;
  const KernelTable<T>* kernels;
  std::deque<ForwardPacking<T>> forward;  // [L*D]
  Buffer<T> zeros;                        // [H], the state of every row of a call that brings none

  // Steps walked by all calls before: each step begins with the panels that the last one ended with, which are
  // in cache still, also from call to call. Threads may lose each other's counts; only speed depends on it.
  mutable std::atomic<Index> walked{0};

  // [L*D], made when the first backward pass needs it: inference holds the weights once.
  const std::deque<BackwardPacking<T>>& backward() const;

  ~Packed();
  Packed(const Packed&) = delete;
  Packed& operator=(const Packed&) = delete;

 private:
  // Without a lock: a fork while another thread packs would leave the child's copy of it locked for ever.
  mutable std::atomic<const std::deque<BackwardPacking<T>>*> backward_{nullptr};
};

}  // namespace lstmfast
