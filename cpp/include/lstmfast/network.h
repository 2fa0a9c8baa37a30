// A whole network (layers, directions) of one cell, packed once for one ISA: forward and backward.
//
// A Network is immutable; any number of threads may call one at once. Nothing here knows Python.
// Pointers need only live for the call, except where a Tape refers to x and y.
#pragma once

#include <memory>

#include "lstmfast/kernel_table.h"
#include "lstmfast/types.h"

namespace lstmfast {

struct NetworkShape {
  Cell cell;
  Index input_size;   // I
  Index hidden_size;  // H
  Index num_layers;   // L
  Index directions;   // D: 1, or 2 for forward and reverse
  bool bias;

  Index gates() const { return gates_of(cell); }  // G
  Index layer_input(Index layer) const { return layer ? directions * hidden_size : input_size; }
  Index passes() const { return num_layers * directions; }  // index of a pass: layer * D + direction
};

// Parameters (const T) or gradients (T) of one pass, rows in gate order i, f, g, o.
template <class T>
struct PassParameters {
  T* weight_ih;  // [G*H, layer_input]
  T* weight_hh;  // [G*H, H]
  T* bias_ih;    // [G*H]; null without bias
  T* bias_hh;    // [G*H]; null without bias
};

// Results share memory with nothing else, but h_n may be h0 and c_n may be c0. y may be written to before the last
// layer is run.
template <class T>
struct ForwardCall {
  Index steps;          // T
  Index rows;           // B
  Sequence<const T> x;  // [T, B, I]
  const T* h0;          // [L*D, B, H]; null is zero
  const T* c0;          // [L*D, B, H]; null is zero; unused by cells without memory
  Sequence<T> y;        // [T, B, D*H]
  T* h_n;               // [L*D, B, H]
  T* c_n;               // [L*D, B, H]; unused by cells without memory
};

// What a forward pass keeps: activated gates and c of every step, the initial state, the outputs of all
// layers but the last; and where x and y are.
template <class T>
class Tape {
 public:
  struct Kept;
  explicit Tape(std::unique_ptr<Kept> kept);
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  Index steps() const;
  Index rows() const;
  Index bytes() const;  // held, without x and y
  const Kept& kept() const { return *kept_; }

 private:
  std::unique_ptr<Kept> kept_;
};

template <class T>
struct BackwardCall {
  Sequence<const T> dy;                // [T, B, D*H]; data null is zero
  const T* dh_n;                       // [L*D, B, H]; null is zero
  const T* dc_n;                       // [L*D, B, H]; null is zero
  Sequence<T> dx;                      // [T, B, I]
  T* dh0;                              // [L*D, B, H]
  T* dc0;                              // [L*D, B, H]; unused by cells without memory
  const PassParameters<T>* gradients;  // [L*D], overwritten
};

template <class T>
class Network {
 public:
  struct Packed;
  // Copies (packs) the weights. Throws std::bad_alloc.
  Network(const NetworkShape& shape, const PassParameters<const T>* weights, const KernelTable<T>& kernels);
  ~Network();
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  const NetworkShape& shape() const;
  const char* isa() const;

  // Keeps nothing.
  void infer(const ForwardCall<T>& call) const;
  // Keeps what backward needs. The tape refers to call.x and call.y, which must stay as they are.
  std::unique_ptr<Tape<T>> forward(const ForwardCall<T>& call) const;
  // `tape` is from this network's forward; it is not changed and may be used again.
  void backward(const Tape<T>& tape, const BackwardCall<T>& call) const;

 private:
  std::unique_ptr<Packed> packed_;
};

}  // namespace lstmfast
