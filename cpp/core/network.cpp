// Network: construction and what it holds. The work is in forward.cpp and backward.cpp.
#include "lstmfast/network.h"

#include <algorithm>

#include "core/float_environment.h"
#include "core/packed.h"
#include "core/small_packing.h"

namespace lstmfast {

template <class T>
Network<T>::Packed::Packed(const NetworkShape& network_shape, const KernelTable<T>& table)
    : shape(network_shape),
      kernels(&table),
      zeros(network_shape.hidden_size),
      variant(network_shape.variant.as<T>()),
      norms(is_norm(network_shape.cell) ? checked_product({network_shape.passes(), 14, network_shape.hidden_size}) : 0),
      peepholes(network_shape.peephole ? checked_product({network_shape.passes(), peepholes_of_pass()}) : 0) {
  zeros.fill_zero();
}

template <class T>
template <class Weights>
void Network<T>::Packed::keep_peepholes(const Weights* weights) {
  const Index count = peepholes_of_pass();
  for (Index pass = 0; shape.peephole && pass < shape.passes(); ++pass)
    std::copy_n(weights[pass].weight_ch, count, peepholes.data() + pass * count);
}

template <class T>
void Network<T>::Packed::keep_norms(const PassParameters<const T>* weights) {
  if (!norms.data()) return;
  const Index H = shape.hidden_size;
  T* to = norms.data();
  for (Index pass = 0; pass < shape.passes(); ++pass) {
    const PassParameters<const T>& w = weights[pass];
    for (Index k = 0; k < 4 * H; ++k) *to++ = w.bias_ih ? w.bias_ih[k] + w.bias_hh[k] : T(0);
    to = std::copy_n(w.gain_ih, 4 * H, to);
    to = std::copy_n(w.gain_hh, 4 * H, to);
    to = std::copy_n(w.gain_c, H, to);
    to = std::copy_n(w.bias_c, H, to);
  }
}

template <class T>
Network<T>::Packed::Packed(const NetworkShape& network_shape, const PassParameters<const T>* weights,
                           const KernelTable<T>& table)
    : Packed(network_shape, table) {
  for (Index pass = 0; pass < shape.passes(); ++pass)
    forward.emplace_back(shape, shape.layer_input(pass / shape.directions), table, weights[pass]);
  if (shape.second_product())
    for (Index pass = 0; pass < shape.passes(); ++pass) projections.emplace_back(shape, table, weights[pass]);
  keep_peepholes(weights);
  keep_norms(weights);
}

template <class T>
Network<T>::Packed::~Packed() {
  delete backward_.load();
}

template <class T>
const std::deque<BackwardPacking<T>>& Network<T>::Packed::backward() const {
  const std::deque<BackwardPacking<T>>* found = backward_.load(std::memory_order_acquire);
  if (found) return *found;
  auto made = std::make_unique<std::deque<BackwardPacking<T>>>();
  for (std::size_t pass = 0; pass < forward.size(); ++pass)
    made->emplace_back(forward[pass], shape.cell, projection(pass));
  if (backward_.compare_exchange_strong(found, made.get(), std::memory_order_acq_rel)) return *made.release();
  return *found;  // another thread was quicker
}

template <class T>
Network<T>::Network(const NetworkShape& shape, const PassParameters<const T>* weights, const KernelTable<T>& kernels) {
  const DefaultFloats floats;  // a variant's numbers are rounded, biases added up
  packed_ = std::make_unique<Packed>(shape, weights, kernels);
}

template <class T>
Network<T>::Network(std::unique_ptr<Packed> packed) : packed_(std::move(packed)) {}

template <class T>
Network<T>::~Network() = default;

template <class T>
Weights Network<T>::weights() const {
  return packed_->kernels->weights;
}

template <class T>
const NetworkShape& Network<T>::shape() const {
  return packed_->shape;
}

template <class T>
const char* Network<T>::isa() const {
  return packed_->kernels->isa;
}

template class Network<float>;
template class Network<double>;

std::unique_ptr<Network<float>> small_network(const NetworkShape& shape, const SmallParameters* weights,
                                              const float* input_range, const KernelTable<float>& kernels) {
  const DefaultFloats floats;
  auto packed = std::make_unique<Network<float>::Packed>(shape, kernels);
  for (Index pass = 0; pass < shape.passes(); ++pass) {
    const float* const range = pass < shape.directions ? input_range : nullptr;
    packed->forward.push_back(
        pack_small(shape, shape.layer_input(pass / shape.directions), kernels, weights[pass], range));
    if (shape.second_product()) packed->projections.push_back(pack_small_projection(shape, kernels, weights[pass]));
  }
  packed->keep_peepholes(weights);
  return std::make_unique<Network<float>>(std::move(packed));
}

}  // namespace lstmfast
