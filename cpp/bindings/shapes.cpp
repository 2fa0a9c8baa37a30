#include "bindings/shapes.h"

#include <stdexcept>

namespace lstmfast::bindings {
namespace {

Cell cell_named(const std::string& name) {
  if (name == "lstm") return Cell::lstm;
  if (name == "rnn_tanh") return Cell::rnn_tanh;
  if (name == "rnn_relu") return Cell::rnn_relu;
  if (name == "gru") return Cell::gru;
  throw std::invalid_argument("cell: expected 'lstm', 'rnn_tanh', 'rnn_relu' or 'gru', got '" + name + "'");
}

// Sums of a few sizes, and a size times gates or directions, must not overflow; products are checked elsewhere.
constexpr Index kLargestSize = Index(1) << 40;

void require_size(Index size, const char* name) {
  if (size < 1 || size > kLargestSize)
    throw std::invalid_argument(std::string(name) + ": expected 1 to 2**40, got " + std::to_string(size));
}

}  // namespace

NetworkShape checked_shape(const std::string& cell, Index input_size, Index hidden_size, Index num_layers,
                           bool bidirectional, bool bias, Index proj_size) {
  require_size(input_size, "input_size");
  require_size(hidden_size, "hidden_size");
  require_size(num_layers, "num_layers");
  const NetworkShape shape = {cell_named(cell),      input_size, hidden_size, num_layers,
                              bidirectional ? 2 : 1, bias,       proj_size};
  // A state that is not given is one row of zeros as wide as the memory.
  if (proj_size < 0 || proj_size >= hidden_size)
    throw std::invalid_argument("proj_size: expected 0 to " + std::to_string(hidden_size - 1) + ", got " +
                                std::to_string(proj_size));
  if (proj_size && !has_memory(shape.cell)) throw std::invalid_argument("proj_size: expected 0 for this cell");
  return shape;
}

void require_parameters(const NetworkShape& shape, Index per_pass, Index given) {
  const Index per_layer = per_pass * shape.directions;  // divided by, for the product could overflow
  if (given / per_layer != shape.num_layers || given % per_layer != 0)
    throw std::invalid_argument("parameters: expected " + std::to_string(per_pass) + " arrays for each of " +
                                std::to_string(shape.num_layers) + " layers times directions, got " +
                                std::to_string(given));
}

}  // namespace lstmfast::bindings
