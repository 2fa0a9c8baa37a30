// What a call is: its attributes, and its arguments as the core's structs, checked against them.
//
// Arguments come in this order, those of `given` where they are named there; weights in the core's order:
//   forward   x, h0, c0, lengths, reset, dropped, weights
//   backward  x, y, tape, lengths, reset, dropped, weights, dy, dh_n, dc_n, dc
// and results:
//   infer     y, h_n, c_n of cells with memory, c where it is wanted
//   forward   the same, tape
//   backward  dx, dh0, dc0 and gradients of weights, each where it is wanted
// Shapes are Network's, x and y (and dx, dy) [B, T, ...] where they are batch_first.
#pragma once

#include <string>
#include <vector>

#include "jax/frame.h"
#include "lstmfast/fingerprint.h"
#include "lstmfast/network.h"

namespace lstmfast::jax {

struct Request {
  NetworkShape shape;
  bool batch_first, recompute;
  double dropout_scale;
  Index samples;          // how many calls this is in one; less than 0: one, without the axis
  std::string given;      // " h0 c0 lengths reset dropped dy dh_n dc_n dc ", or some of these
  std::string wanted;     // " c " of forward passes, " x state " of backward ones, or some of these
  std::string gradients;  // of each weight, whether it is wanted: '1' or '0'

  explicit Request(const Frame& frame);

  bool gives(const char* name) const { return has(given, name); }
  bool wants(const char* name) const { return has(wanted, name); }

 private:
  static bool has(const std::string& words, const char* name) {
    return words.find(" " + std::string(name) + " ") != std::string::npos;
  }
};

// Where rows end and begin anew, and which outputs between layers are dropped.
struct Times {
  std::vector<Index> lengths;
  const bool* reset = nullptr;
  const bool* dropped = nullptr;

  RowTimes row_times() const { return {lengths.empty() ? nullptr : lengths.data(), reset, false}; }
};
Times taken_times(const Request& request, Taking& arguments, Index steps, Index rows);

template <class T>
struct Weights {
  std::vector<PassParameters<const T>> passes;
  std::vector<Piece> pieces;  // the same, for a fingerprint

  Weights(const NetworkShape& shape, Taking& arguments);
};

// Calls visit(member of PassParameters, name, sizes) for each parameter of a pass, in the core's order.
template <class T, class Visit>
void for_parameters(const NetworkShape& shape, Index pass, const Visit& visit) {
  using P = PassParameters<T>;
  const Index H = shape.hidden_size, rows = shape.gates() * H, columns = shape.layer_input(pass / shape.directions);
  visit(&P::weight_ih, "weight_ih", {rows, columns});
  visit(&P::weight_hh, "weight_hh", {rows, shape.state_size()});
  if (shape.bias) {
    visit(&P::bias_ih, "bias_ih", {rows});
    visit(&P::bias_hh, "bias_hh", {rows});
  }
  if (shape.peephole) visit(&P::weight_ch, "weight_ch", {peepholes_of(shape.cell), H});
  if (shape.projection_size) visit(&P::weight_hr, "weight_hr", {shape.projection_size, H});
  if (!is_norm(shape.cell)) return;
  visit(&P::gain_ih, "gain_ih", {rows});
  visit(&P::gain_hh, "gain_hh", {rows});
  visit(&P::gain_c, "gain_c", {H});
  visit(&P::bias_c, "bias_c", {H});
}

// T, B of x, [T, B, I] or [B, T, I]; sample_of: whether it may have the samples' axis before those.
struct Extent {
  Index steps, rows;
};
Extent extent_of(const Request& request, const XlaBuffer& x);

// [outer, inner, features] as a sequence.
template <class T>
Sequence<T> sequence(T* data, const Request& request, Extent extent, Index features) {
  if (request.batch_first) return {data, features, extent.steps * features};
  return {data, extent.rows * features, features};
}

// The next argument or result, [T, B, features] or [B, T, features].
template <class T>
Sequence<T> taken_sequence(const Request& request, Taking& taking, const char* name, Extent extent, Index features) {
  const Index outer = request.batch_first ? extent.rows : extent.steps;
  const Index inner = request.batch_first ? extent.steps : extent.rows;
  return sequence(taking.take<T>(name, {outer, inner, features}), request, extent, features);
}

}  // namespace lstmfast::jax
