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
enum class Cell { lstm, rnn_tanh, rnn_relu, gru };

inline constexpr int kCells = 4;

// Of the weights.
constexpr Index gates_of(Cell cell) { return cell == Cell::lstm ? 4 : cell == Cell::gru ? 3 : 1; }

// Sums of a unit, in z, in the gates that are kept, and in dz: its gates; but of a GRU n, r, z and q, n being what x
// makes of the candidate and q what h does.
constexpr Index slots_of(Cell cell) { return cell == Cell::gru ? 4 : gates_of(cell); }
// The first of the gates_of() slots that the weights of x have a part in, and those of h.
constexpr Index first_slot_of_x(Cell) { return 0; }
constexpr Index first_slot_of_h(Cell cell) { return cell == Cell::gru ? 1 : 0; }
// The gates that those slots are, as weights have them in rows; -1: the slot has none.
constexpr Index gate_of_x(Cell cell, Index slot) {
  if (cell != Cell::gru) return slot;
  return slot == 0 ? 2 : slot == 3 ? -1 : slot - 1;
}
constexpr Index gate_of_h(Cell cell, Index slot) { return cell == Cell::gru ? slot - 1 : slot; }

// Whether the cell carries a second state c beside h.
constexpr bool has_memory(Cell cell) { return cell == Cell::lstm; }

// Whether the backward pass reads the activated gates. The only one of an RNN is h.
constexpr bool reads_gates(Cell cell) { return cell == Cell::lstm || cell == Cell::gru; }

// Whether the new h is made of the one before, and not of the gates alone.
constexpr bool reads_state(Cell cell) { return cell == Cell::gru; }

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
