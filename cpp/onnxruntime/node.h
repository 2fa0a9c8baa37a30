// A node as its graph has it: what it computes, and whether we can.
#pragma once

#include <array>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "lstmfast/network.h"
#include "onnxruntime/api.h"

namespace lstmfast::onnxruntime {

enum class Operator { lstm, gru, rnn };

// Of LSTM, GRU and RNN, by place. DynamicQuantizeLSTM has four more, and no layout.
struct Input {
  enum { x, w, r, b, lengths, initial_h, initial_c, p, w_scale, w_zero, r_scale, r_zero, count };
};

// What a node says, but for sizes and weights.
struct NodeSpec {
  Operator op;
  bool quantized;  // com.microsoft's DynamicQuantizeLSTM
  ElementType element;
  int directions;     // D
  bool reverse;       // of one direction
  bool batchwise;     // layout 1: X is [B, T, I], Y [B, T, D, H], states are [B, D, H]
  Index hidden_size;  // H; 0 where only R says it
  bool coupled;       // input_forget
  bool reset_after;   // linear_before_reset
  bool has_bias, has_peepholes;
  bool has_lengths, has_h0, has_c0;
  std::array<bool, 3> wants;                // of Y, Y_h and Y_c
  std::array<Variant<double>, 2> variants;  // of each direction

  // Of all there is: kernels are made of one in the place of another.
  auto all() const {
    return std::tie(op, quantized, element, directions, reverse, batchwise, hidden_size, coupled, reset_after, has_bias,
                    has_peepholes, has_lengths, has_h0, has_c0, wants, variants);
  }

  bool has_memory() const { return op == Operator::lstm; }
  Index blocks() const { return op == Operator::lstm ? 4 : op == Operator::gru ? 3 : 1; }  // of H rows, in W, R and B
  bool usual(int direction) const;  // nothing in a direction differs from the plain cell
  // Which of the node's inputs are weights and must be there, or may be.
  std::vector<int> weights() const;

  // Of a network for directions [first, first + count), which have the same variant.
  NetworkShape shape(int first, int count, Index input_size, Index hidden) const;
  // The blocks of rows that are the gates of such a network, in their order.
  const Index* gate_blocks() const;
  // Likewise, those of P: of i, f and o, or of i and o.
  std::vector<Index> peephole_blocks() const;
  // All that makes a network out of weights, as bytes.
  std::string key() const;
};

// Why a node is none for us, in words.
struct Unfit : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Throws Unfit.
NodeSpec read_node(const Api& api, const Node* node);

// Its inputs by place, and null for those that it has not.
std::vector<const ValueInfo*> inputs_of(const Api& api, const Node* node);
// Names of its outputs; empty where nobody wants one.
std::vector<std::string> outputs_of(const Api& api, const Node* node);

// The names by which a node is found again where its kernel is made: its own, and of its outputs.
std::string node_key(const char* name, const std::vector<std::string>& outputs);

}  // namespace lstmfast::onnxruntime
