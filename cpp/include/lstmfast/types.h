// Sizes and cells that every room of the core shares.
//
// Letters used for shapes everywhere: T time steps, B batch rows, I input size, H hidden size, P projection size,
// S numbers of h (P with a projection, else H), L layers, D directions, G gates (4 for an LSTM in the order i, f, g, o;
// 1 for an RNN).
#pragma once

#include <cstddef>

namespace lstmfast {

using Index = std::ptrdiff_t;

// How a network's weights are stored: as T, or smaller, for inference alone.
enum class Weights { native, float16, bfloat16, int8 };

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
