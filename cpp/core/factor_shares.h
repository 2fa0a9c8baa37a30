// Gradients of what single numbers are multiplied by, or added to them: peepholes, and gains and biases of lstm_norm.
#pragma once

#include <deque>

#include "core/gradients.h"
#include "core/terms.h"

namespace lstmfast {

// A thread's share of the gradients of all that single numbers are multiplied by, or added, but for the biases of plain
// gates: peepholes; gains and biases of lstm_norm.
template <class T>
class FactorShares {
 public:
  FactorShares(const KernelTable<T>& kernels, const NetworkShape& shape, const PassParameters<T>& to, int part,
               int parts)
      : to_(to), H_(shape.hidden_size) {
    const auto element = [&](T* wanted, Index count, Index a_first, Index b_first,
                             const Buffer<const T*> Terms<T>::* b) {
      if (wanted) elements_.push_back({ElementShare<T>(kernels, count, part, parts), wanted, a_first, b_first, b});
    };
    for (Index p = 0; shape.peephole && to.weight_ch && p < peepholes_of(shape.cell); ++p) {
      const bool last = p + 1 == peepholes_of(shape.cell);  // o, which sees c_out
      element(to.weight_ch + p * H_, H_, last ? (shape.gates() - 1) * H_ : p * H_, 0,
              last ? &Terms<T>::c_out : &Terms<T>::c);
    }
    if (!is_norm(shape.cell)) return;
    element(to.gain_ih, 4 * H_, NormDz::z * H_, NormDz::normed_x * H_, &Terms<T>::dz);
    element(to.gain_hh, 4 * H_, NormDz::z * H_, NormDz::normed_h * H_, &Terms<T>::dz);
    element(to.gain_c, H_, NormDz::n * H_, NormDz::normed_c * H_, &Terms<T>::dz);
    if (to.bias_ih || to.bias_hh) of_z_.emplace_back(kernels, 4 * H_, 0, 0, part, parts);
    if (to.bias_c) of_c_.emplace_back(kernels, H_, 0, 0, part, parts);
  }

  void add(const Terms<T>& terms) {
    for (Element& e : elements_) e.share.add(terms.count, terms.dz.data(), e.a_first, (terms.*e.b).data(), e.b_first);
    for (auto& z : of_z_) z.add(terms.count, terms.dz.data(), NormDz::z * H_, nullptr, nullptr);
    for (auto& c : of_c_) c.add(terms.count, terms.dz.data(), NormDz::n * H_, nullptr, nullptr);
  }
  void finish() {
    for (Element& e : elements_) e.share.finish(e.to);
    for (auto& z : of_z_) z.finish(0, nullptr, nullptr, to_.bias_ih, to_.bias_hh);
    for (auto& c : of_c_) c.finish(0, nullptr, nullptr, to_.bias_c, nullptr);
  }

 private:
  struct Element {
    ElementShare<T> share;
    T* to;
    Index a_first, b_first;  // in rows of dz and of what it is multiplied with
    const Buffer<const T*> Terms<T>::* b;
  };

  const PassParameters<T> to_;
  const Index H_;
  std::deque<Element> elements_;
  std::deque<GradientShare<T>> of_z_, of_c_;  // at most one each
};

}  // namespace lstmfast
