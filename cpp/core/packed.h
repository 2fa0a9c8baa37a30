// What a Network holds.
#pragma once

#include <deque>
#include <mutex>

#include "core/packing.h"
#include "lstmfast/network.h"

namespace lstmfast {

template <class T>
struct Network<T>::Packed {
  Packed(const NetworkShape& network_shape, const PassParameters<const T>* weights, const KernelTable<T>& table);

  NetworkShape shape;
  const KernelTable<T>* kernels;
  std::deque<ForwardPacking<T>> forward;  // [L*D]

  // [L*D], made when the first backward pass needs it: inference holds the weights once.
  const std::deque<BackwardPacking<T>>& backward() const;

 private:
  mutable std::mutex backward_mutex_;
  mutable std::deque<BackwardPacking<T>> backward_;
};

}  // namespace lstmfast
