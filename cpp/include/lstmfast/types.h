// Sizes and cells that every room of the core shares.
//
// Letters used for shapes everywhere: T time steps, B batch rows, I input size, H hidden size, P projection size,
// S numbers of h (P with a projection, else H), L layers, D directions, G gates (4 for an LSTM in the order i, f, g, o;
// 1 for an RNN).
#pragma once

#include <cstddef>

namespace lstmfast {

using Index = std::ptrdiff_t;

// What happens between the matrix products of a step.
enum class Cell { lstm, rnn_tanh, rnn_relu };

inline constexpr int kCells = 3;

constexpr Index gates_of(Cell cell) { return cell == Cell::lstm ? 4 : 1; }

// Whether the cell carries a second state c beside h.
constexpr bool has_memory(Cell cell) { return cell == Cell::lstm; }

// Whether the backward pass reads the activated gates. The only one of an RNN is h.
constexpr bool reads_gates(Cell cell) { return cell == Cell::lstm; }

// [T, B, features] with dense features, in any order of T and B. Strides are in elements.
template <class T>
struct Sequence {
  T* data;
  Index step_stride;
  Index row_stride;

  // Always inline: an ISA's file must not leave a copy of it for others.
  [[gnu::always_inline]] inline T* at(Index t, Index b) const { return data + t * step_stride + b * row_stride; }
  Sequence from(Index t, Index b) const { return {at(t, b), step_stride, row_stride}; }
};

}  // namespace lstmfast
