#include "lstmfast/named_shape.h"

#include <limits>
#include <stdexcept>

namespace lstmfast {
namespace {

Cell cell_named(const std::string& name) {
  if (name == "lstm") return Cell::lstm;
  if (name == "rnn_tanh") return Cell::rnn_tanh;
  if (name == "rnn_relu") return Cell::rnn_relu;
  if (name == "gru") return Cell::gru;
  if (name == "lstm_variant") return Cell::lstm_variant;
  if (name == "lstm_coupled") return Cell::lstm_coupled;
  if (name == "rnn_variant") return Cell::rnn_variant;
  if (name == "gru_variant") return Cell::gru_variant;
  if (name == "gru_reset_before") return Cell::gru_reset_before;
  if (name == "lstm_norm") return Cell::lstm_norm;
  throw std::invalid_argument(
      "cell: expected 'lstm', 'rnn_tanh', 'rnn_relu', 'gru', 'lstm_variant', 'lstm_coupled', 'rnn_variant', "
      "'gru_variant', 'gru_reset_before' or 'lstm_norm', got '" +
      name + "'");
}

Activation<double> activation_named(const GivenActivation& given) {
  static const char* const names[] = {"Tanh",       "Sigmoid",     "Relu", "Affine",   "LeakyRelu", "ThresholdedRelu",
                                      "ScaledTanh", "HardSigmoid", "Elu",  "Softsign", "Softplus"};
  int function = 0;
  for (const char* name : names) {
    if (std::get<0>(given) == name) return {static_cast<Function>(function), std::get<1>(given), std::get<2>(given)};
    ++function;
  }
  throw std::invalid_argument("variant: expected the name of an activation, got '" + std::get<0>(given) + "'");
}

// Sums of a few sizes, and a size times gates or directions, must not overflow; products are checked elsewhere.
constexpr Index kLargestSize = Index(1) << 40;

void require_size(Index size, const char* name) {
  if (size < 1 || size > kLargestSize)
    throw std::invalid_argument(std::string(name) + ": expected 1 to 2**40, got " + std::to_string(size));
}

}  // namespace

NetworkShape checked_shape(const std::string& cell, Index input_size, Index hidden_size, Index num_layers,
                           bool bidirectional, bool bias, Index proj_size, const std::optional<GivenVariant>& variant,
                           bool reverse, double zoneout) {
  require_size(input_size, "input_size");
  require_size(hidden_size, "hidden_size");
  require_size(num_layers, "num_layers");
  NetworkShape shape = {cell_named(cell), input_size, hidden_size, num_layers, bidirectional ? 2 : 1, bias, proj_size};
  // A state that is not given is one row of zeros as wide as the memory.
  if (proj_size < 0 || proj_size >= hidden_size)
    throw std::invalid_argument("proj_size: expected 0 to " + std::to_string(hidden_size - 1) + ", got " +
                                std::to_string(proj_size));
  if (proj_size && (!has_memory(shape.cell) || is_norm(shape.cell)))
    throw std::invalid_argument("proj_size: expected 0 for this cell");
  shape.reverse = reverse;
  shape.zoneout = zoneout;
  if (!(zoneout >= 0 && zoneout <= 1)) throw std::invalid_argument("zoneout: expected 0 to 1");
  if (reverse && bidirectional) throw std::invalid_argument("reverse: expected False where there are both directions");
  if (variant.has_value() != is_variant(shape.cell))
    throw std::invalid_argument("variant: expected one for the variants of cells, and None for others");
  if (!variant) return shape;
  const auto& [f, g, h, clip, peephole] = *variant;
  shape.variant = {activation_named(f), activation_named(g), activation_named(h), clip};
  shape.peephole = peephole;
  if (!(clip >= 0 && clip <= std::numeric_limits<double>::max()))
    throw std::invalid_argument("variant: expected a clip that is finite and not negative");
  if (peephole && !peepholes_of(shape.cell))
    throw std::invalid_argument("variant: expected no peepholes for this cell");
  return shape;
}

void require_parameters(const NetworkShape& shape, Index per_pass, Index given) {
  const Index per_layer = per_pass * shape.directions;  // divided by, for the product could overflow
  if (given / per_layer != shape.num_layers || given % per_layer != 0)
    throw std::invalid_argument("parameters: expected " + std::to_string(per_pass) + " arrays for each of " +
                                std::to_string(shape.num_layers) + " layers times directions, got " +
                                std::to_string(given));
}

}  // namespace lstmfast
