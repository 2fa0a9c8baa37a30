// Sizes and cells that every room of the core shares.
//
// Letters used for shapes everywhere: T time steps, B batch rows, I input size, H hidden size, P projection size,
// S numbers of h (P with a projection, else H), L layers, D directions, G gates (4 for an LSTM in the order i, f, g, o;
// 3 for a GRU, r, z, n; 1 for an RNN).
#pragma once

#include <cstddef>

namespace lstmfast {

using Index = std::ptrdiff_t;

// How a network's weights are stored: as T, or smaller, for inference alone.
enum class Weights { native, float16, bfloat16, int8 };

// What happens between the matrix products of a step.
//
// A variant has peepholes, a clip or activations that are not the usual ones (Variant). lstm_coupled: f = 1 - i, its
// gates are i, g, o. gru_reset_before: r multiplies h, and W_hn what comes of it, with any variant or none. lstm_norm:
// an LSTM with layer normalisation of both products and of c.
enum class Cell {
  lstm,
  rnn_tanh,
  rnn_relu,
  gru,
  lstm_variant,
  lstm_coupled,
  rnn_variant,
  gru_variant,
  gru_reset_before,
  lstm_norm
};

inline constexpr int kCells = 10;

// With the reset gate after the product, and so with sums of its own for q.
constexpr bool is_gru(Cell cell) { return cell == Cell::gru || cell == Cell::gru_variant; }
// Whether a candidate needs a product of what the step has made already.
constexpr bool resets_before(Cell cell) { return cell == Cell::gru_reset_before; }
constexpr bool is_norm(Cell cell) { return cell == Cell::lstm_norm; }
constexpr bool is_variant(Cell cell) { return cell >= Cell::lstm_variant && !is_norm(cell); }

// Of the weights.
constexpr Index gates_of(Cell cell) {
  if (cell == Cell::lstm || cell == Cell::lstm_variant || is_norm(cell)) return 4;
  return is_gru(cell) || resets_before(cell) || cell == Cell::lstm_coupled ? 3 : 1;
}

// Of those that see c, where there are peepholes: i, f and o, or i and o.
constexpr Index peepholes_of(Cell cell) { return cell == Cell::lstm_variant ? 3 : cell == Cell::lstm_coupled ? 2 : 0; }

// Where parts of dz are for lstm_norm, in times H: gradients of W_ih x and of W_hh h, of z, which is made of both, what
// both and c' are when they are normalised, and the gradient of c' after its gain.
struct NormDz {
  enum { x = 0, h = 4, z = 8, normed_x = 12, normed_h = 16, n = 20, normed_c = 21, count = 22 };
};

// Sums of a unit, in z and, but for lstm_norm, in the gates that are kept and in dz: its gates; but of a GRU n, r, z
// and q, n being what x makes of the candidate and q what h does.
constexpr Index slots_of(Cell cell) { return is_gru(cell) ? 4 : gates_of(cell); }
// Numbers of a unit that are kept of a step beside c, and in dz.
constexpr Index kept_of(Cell cell) { return is_norm(cell) ? 8 : slots_of(cell); }
constexpr Index dz_of(Cell cell) { return is_norm(cell) ? static_cast<Index>(NormDz::count) : slots_of(cell); }
// How many slots h's weights have a part in by a product with h itself.
constexpr Index slots_of_h(Cell cell) { return resets_before(cell) ? 2 : gates_of(cell); }
// The first of the gates_of() slots that the weights of x have a part in, and those of h; and the same in dz.
constexpr Index first_slot_of_x(Cell) { return 0; }
constexpr Index first_slot_of_h(Cell cell) { return is_gru(cell) ? 1 : 0; }
constexpr Index first_dz_of_h(Cell cell) {
  return is_norm(cell) ? static_cast<Index>(NormDz::h) : first_slot_of_h(cell);
}
// The gates that those slots are, as weights have them in rows; -1: the slot has none.
constexpr Index gate_of_x(Cell cell, Index slot) {
  if (!is_gru(cell)) return slot;
  return slot == 0 ? 2 : slot == 3 ? -1 : slot - 1;
}
constexpr Index gate_of_h(Cell cell, Index slot) {
  if (resets_before(cell)) return slot == 2 ? -1 : slot;
  return is_gru(cell) ? slot - 1 : slot;
}

// Whether the cell carries a second state c beside h.
constexpr bool has_memory(Cell cell) {
  return cell == Cell::lstm || cell == Cell::lstm_variant || cell == Cell::lstm_coupled || is_norm(cell);
}

// Whether the backward pass reads the gates that a step keeps: activated, or of a variant the sums z as they are. The
// only one of a plain RNN is h.
constexpr bool reads_gates(Cell cell) { return cell != Cell::rnn_tanh && cell != Cell::rnn_relu; }

// Whether the new h is made of the one before, and not of the gates alone.
constexpr bool reads_state(Cell cell) { return is_gru(cell) || resets_before(cell); }

// What can be applied to a sum z: those that ONNX names for its recurrent operators. a, b: alpha and beta.
enum class Function {
  tanh,
  sigmoid,
  relu,
  affine,            // a z + b
  leaky_relu,        // z, or a z where z <= 0
  thresholded_relu,  // z, or 0 where z <= a
  scaled_tanh,       // a tanh(b z)
  hard_sigmoid,      // a z + b, but from 0 to 1
  elu,               // z, or a (exp(z) - 1) where z <= 0
  softsign,          // z / (1 + |z|)
  softplus           // log(1 + exp(z))
};

template <class T>
struct Activation {
  Function function;
  T alpha, beta;

  template <class U>
  Activation<U> as() const {
    return {function, static_cast<U>(alpha), static_cast<U>(beta)};
  }
};

// In what a variant differs from the plain cell, but for its weights.
template <class T>
struct Variant {
  Activation<T> f;  // of the gates; of an RNN's only one
  Activation<T> g;  // of the candidate, an LSTM's g or a GRU's n
  Activation<T> h;  // of an LSTM's c
  T clip;           // what each of the arguments of f and g, but not of h, is kept within; 0: anything goes

  template <class U>
  Variant<U> as() const {
    return {f.template as<U>(), g.template as<U>(), h.template as<U>(), static_cast<U>(clip)};
  }
};

inline bool operator==(const Activation<double>& a, const Activation<double>& b) {
  return a.function == b.function && a.alpha == b.alpha && a.beta == b.beta;
}
inline bool operator==(const Variant<double>& a, const Variant<double>& b) {
  return a.f == b.f && a.g == b.g && a.h == b.h && a.clip == b.clip;
}

// [T, B, features] with dense features, in any order of T and B. Strides are in elements.
template <class T>
struct Sequence {
  T* data;
  Index step_stride;
  Index row_stride;
  // [T], of a packed sequence: how many rows lie before those of step t; then step_stride says nothing. null: not
  // packed
  const Index* rows_before = nullptr;

  // Always inline: an ISA's file must not leave a copy of it for others.
  [[gnu::always_inline]] inline T* at(Index t, Index b) const {
    return rows_before ? data + (rows_before[t] + b) * row_stride : data + t * step_stride + b * row_stride;
  }
  Sequence from(Index t) const {
    return rows_before ? Sequence{data, step_stride, row_stride, rows_before + t}
                       : Sequence{at(t, 0), step_stride, row_stride};
  }
};

}  // namespace lstmfast
