// Networks of any shape with some weights, and calls of them with their arrays, for tests that are not about numbers.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "lstmfast/isa.h"
#include "lstmfast/network.h"
#include "random.h"

namespace test {

// Weights, and gradients or what else has their form: all parameters of a pass are the same numbers.
template <class T>
class Weights {
 public:
  explicit Weights(const lstmfast::NetworkShape& shape) : shape_(shape) {
    const Index gate_rows = shape.gates() * shape.hidden_size;
    const Index widest = std::max(shape.input_size, shape.directions * shape.hidden_size);
    numbers_ = Random(3).vector<T>(std::max(gate_rows, shape.projection_size) * widest, 0.3);
  }

  std::vector<lstmfast::PassParameters<const T>> passes() const { return each<const T>(numbers_.data()); }

 private:
  template <class U>
  std::vector<lstmfast::PassParameters<U>> each(U* w) const {
    lstmfast::PassParameters<U> pass = {w, w, nullptr, nullptr};
    if (shape_.bias) pass.bias_ih = pass.bias_hh = w;
    if (shape_.projection_size) pass.weight_hr = w;
    if (shape_.peephole) pass.weight_ch = w;
    if (is_norm(shape_.cell)) pass.gain_ih = pass.gain_hh = pass.gain_c = pass.bias_c = w;
    return std::vector<lstmfast::PassParameters<U>>(static_cast<std::size_t>(shape_.passes()), pass);
  }

  lstmfast::NetworkShape shape_;
  std::vector<T> numbers_;
};

// With the kernels of the fastest ISA.
template <class T>
std::unique_ptr<lstmfast::Network<T>> network_of(const lstmfast::NetworkShape& shape, const Weights<T>& weights) {
  using namespace lstmfast;
  return std::make_unique<Network<T>>(shape, weights.passes().data(), kernels<T>(available_isas().front()));
}

inline std::string named(const lstmfast::NetworkShape& shape, int threads) {
  return "cell " + std::to_string(static_cast<int>(shape.cell)) + ", L " + std::to_string(shape.num_layers) + ", D " +
         std::to_string(shape.directions) + ", P " + std::to_string(shape.projection_size) + ", " +
         std::to_string(threads) + " threads";
}

// The arrays of a call forward, and those of one backward. Results are filled with `before` until a call writes them.
template <class T>
class Arrays {
 public:
  static constexpr T before = T(-77);

  Arrays(const lstmfast::NetworkShape& shape, Index steps, Index rows, bool cut)
      : shape_(shape), steps_(steps), rows_(rows) {
    Random random(7);
    const Index H = shape.hidden_size, S = shape.state_size(), D = shape.directions, P = shape.passes();
    x_ = random.vector<T>(steps * rows * shape.input_size);
    dy_ = random.vector<T>(steps * rows * D * S);
    first_h_ = random.vector<T>(P * rows * S, 0.5);
    first_c_ = random.vector<T>(P * rows * H, 0.5);
    masks_ = std::make_unique<bool[]>(static_cast<std::size_t>(P * steps * rows * D * S));
    for (Index k = 0; k < P * steps * rows * D * S; ++k) masks_[static_cast<std::size_t>(k)] = k % 3 != 0;
    if (cut) {
      for (Index b = 0; b < rows; ++b) lengths_.push_back(std::max<Index>(steps - b, 0));
      reset_ = std::make_unique<bool[]>(static_cast<std::size_t>(steps * rows));
      for (Index k = 0; k < steps * rows; ++k) reset_[static_cast<std::size_t>(k)] = k % 5 == 4;
    }
    renew();
  }

  // All as before the first call.
  void renew() {
    const Index H = shape_.hidden_size, S = shape_.state_size(), D = shape_.directions, P = shape_.passes();
    const auto blank = [](Index count) { return std::vector<T>(static_cast<std::size_t>(count), before); };
    h_ = first_h_;
    c_ = first_c_;
    y_ = blank(steps_ * rows_ * D * S);
    dx_ = blank(steps_ * rows_ * shape_.input_size);
    dh_ = blank(P * rows_ * S);
    dc_ = blank(P * rows_ * H);
    // Each parameter's gradient in a place of its own, large enough for any.
    const Index most = shape_.gates() * H * std::max(shape_.input_size, D * H);
    gradients_ = blank(P * 10 * most);
    to_.clear();
    for (Index p = 0; p < P; ++p) {
      T* at = gradients_.data() + p * 10 * most;
      const auto next = [&](bool wanted) {
        T* const found = wanted ? at : nullptr;
        at += most;
        return found;
      };
      lstmfast::PassParameters<T> pass = {next(true), next(true), next(shape_.bias), next(shape_.bias)};
      pass.weight_hr = next(shape_.projection_size > 0);
      pass.weight_ch = next(shape_.peephole);
      pass.gain_ih = next(is_norm(shape_.cell));
      pass.gain_hh = next(is_norm(shape_.cell));
      pass.gain_c = next(is_norm(shape_.cell));
      pass.bias_c = next(is_norm(shape_.cell));
      to_.push_back(pass);
    }
  }

  // The new state replaces the one before.
  lstmfast::ForwardCall<T> forward() {
    const Index I = shape_.input_size, features = shape_.directions * shape_.state_size();
    lstmfast::ForwardCall<T> call = {steps_,    rows_,     {x_.data(), rows_ * I, I},
                                     h_.data(), c_.data(), {y_.data(), rows_ * features, features},
                                     h_.data(), c_.data()};
    if (!lengths_.empty()) call.times = {lengths_.data(), reset_.get()};
    return call;
  }
  lstmfast::BackwardCall<T> backward() {
    const Index I = shape_.input_size, features = shape_.directions * shape_.state_size();
    lstmfast::BackwardCall<T> call = {{dy_.data(), rows_ * features, features},
                                      nullptr,
                                      nullptr,
                                      {dx_.data(), rows_ * I, I},
                                      dh_.data(),
                                      dc_.data(),
                                      to_.data()};
    return call;
  }
  const bool* masks() const { return masks_.get(); }

  std::vector<T> states() const {
    std::vector<T> all = h_;
    all.insert(all.end(), c_.begin(), c_.end());
    return all;
  }
  // All results, one after the other.
  std::vector<T> results() const {
    std::vector<T> all = y_;
    for (const auto* more : {&h_, &c_, &dx_, &dh_, &dc_, &gradients_})
      all.insert(all.end(), more->begin(), more->end());
    return all;
  }

 private:
  lstmfast::NetworkShape shape_;
  Index steps_, rows_;
  std::vector<T> x_, dy_, first_h_, first_c_, h_, c_, y_, dx_, dh_, dc_, gradients_;
  std::vector<Index> lengths_;
  std::unique_ptr<bool[]> reset_, masks_;
  std::vector<lstmfast::PassParameters<T>> to_;
};

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

// Of every kind: what each has of its own is allocated somewhere.
inline std::vector<lstmfast::NetworkShape> all_shapes(Index input, Index hidden) {
  using lstmfast::Cell;
  using lstmfast::Function;
  std::vector<lstmfast::NetworkShape> shapes = {
      {Cell::lstm, input, hidden, 3, 1, true},      {Cell::lstm, input, hidden, 2, 2, false},
      {Cell::lstm, input, hidden, 2, 1, true, 7},   {Cell::rnn_tanh, input, hidden, 2, 1, true},
      {Cell::gru, input, hidden, 2, 1, true},       {Cell::gru_reset_before, input, hidden, 2, 2, true},
      {Cell::lstm_norm, input, hidden, 2, 1, true}, {Cell::lstm_variant, input, hidden, 2, 1, true},
      {Cell::lstm, input, hidden, 2, 1, true}};
  for (lstmfast::NetworkShape& shape : shapes) {
    shape.variant = {{Function::sigmoid, 0, 0}, {Function::tanh, 0, 0}, {Function::tanh, 0, 0}, 0};
    shape.peephole = shape.cell == Cell::lstm_variant;
  }
  shapes.back().zoneout = 0.1;
  return shapes;
}

}  // namespace test
