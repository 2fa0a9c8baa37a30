// What a Network holds.
#pragma once

#include <atomic>
#include <deque>

#include "core/packing.h"
#include "lstmfast/network.h"

namespace lstmfast {

template <class T>
struct Network<T>::Packed {
  Packed(const NetworkShape& network_shape, const KernelTable<T>& table);  // without weights yet
  // weights: the caller's of each pass, which have a weight_ch of T.
  template <class Weights>
  void keep_peepholes(const Weights* weights);
  void keep_norms(const PassParameters<const T>* weights);
  Packed(const NetworkShape& network_shape, const PassParameters<const T>* weights, const KernelTable<T>& table);

  NetworkShape shape;
  const KernelTable<T>* kernels;
  std::deque<ForwardPacking<T>> forward;         // [L*D]
  std::deque<ProjectionPacking<T>> projections;  // [L*D]; empty without a second product
  Buffer<T> zeros;                               // [H], the state of every row of a call that brings none
  Variant<T> variant;                            // of variants
  Buffer<T> norms;                               // [L*D, 14, H], NormParameters one after the other; empty without
  Buffer<T> peepholes;                           // [L*D, peepholes_of(cell), H]; empty without

  const ProjectionPacking<T>* projection(std::size_t pass) const {
    return projections.empty() ? nullptr : &projections[pass];
  }

  // What a kernel's step needs to know of a pass besides.
  const Variant<T>* variant_or_null() const { return is_variant(shape.cell) ? &variant : nullptr; }
  Index peepholes_of_pass() const { return peepholes_of(shape.cell) * shape.hidden_size; }
  const T* peepholes_at(std::size_t pass) const {
    return peepholes.data() ? peepholes.data() + static_cast<Index>(pass) * peepholes_of_pass() : nullptr;
  }

  NormParameters<T> norm_at(std::size_t pass) const {
    if (!norms.data()) return {};
    const Index H = shape.hidden_size;
    const T* const at = norms.data() + static_cast<Index>(pass) * 14 * H;
    return {at, at + 4 * H, at + 8 * H, at + 12 * H, at + 13 * H};
  }

  // How the next call's first step walks the panels: it begins with those that the last step ended with, which are
  // in cache still. Threads may lose each other's changes; only speed depends on it.
  mutable std::atomic<bool> next_descends{false};

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
