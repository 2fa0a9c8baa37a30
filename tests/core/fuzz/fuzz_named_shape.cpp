// Shapes in words and numbers, as Python and XLA say them: what comes of them is within bounds, or an error says why.
#include "lstmfast/named_shape.h"

#include <stdexcept>

#include "bytes.h"
#include "target.h"

namespace {

using namespace lstmfast;

const char* const kCellNames[] = {
    "lstm",        "rnn_tanh",    "rnn_relu",         "gru",      "lstm_variant", "lstm_coupled",
    "rnn_variant", "gru_variant", "gru_reset_before", "lstm_norm"};
const char* const kFunctions[] = {"Tanh",       "Sigmoid",     "Relu", "Affine",   "LeakyRelu", "ThresholdedRelu",
                                  "ScaledTanh", "HardSigmoid", "Elu",  "Softsign", "Softplus"};

std::string some_name(fuzz::Bytes& bytes, const char* const* names, Index count) {
  return bytes.from(0, 7) ? names[bytes.from(0, count - 1)] : bytes.text(6);
}
GivenActivation some_activation(fuzz::Bytes& bytes) {
  const std::string name = some_name(bytes, kFunctions, 11);
  const auto alpha = bytes.bits<double>(), beta = bytes.bits<double>();
  return {name, alpha, beta};
}
Index some_size(fuzz::Bytes& bytes) {
  return bytes.from(0, 3) ? bytes.from(1, 9) : static_cast<Index>(bytes.integer());
}

void check(const NetworkShape& shape, const std::string& cell, bool bidirectional) {
  EXPECT(kCellNames[static_cast<int>(shape.cell)] == cell, "the cell of that name");
  constexpr Index most = Index(1) << 40;
  for (const Index size : {shape.input_size, shape.hidden_size, shape.num_layers})
    EXPECT(size >= 1 && size <= most, "a size within bounds");
  EXPECT(shape.projection_size >= 0 && shape.projection_size < shape.hidden_size, "a projection makes h smaller");
  EXPECT(!shape.projection_size || (has_memory(shape.cell) && !is_norm(shape.cell)), "who projects");
  EXPECT(shape.directions == (bidirectional ? 2 : 1), "directions");
  EXPECT(!(shape.reverse && bidirectional), "both directions are no one direction");
  EXPECT(shape.zoneout >= 0 && shape.zoneout <= 1, "a probability");
  EXPECT(shape.variant.clip >= 0 && shape.variant.clip < HUGE_VAL, "a clip");
  EXPECT(!shape.peephole || peepholes_of(shape.cell) > 0, "who has peepholes");
  // What the core asks a shape at once must not overflow: a sanitizer sees to it.
  EXPECT(shape.gates() >= 1 && shape.slots() >= shape.gates() && shape.layer_input(1) >= 1, "sizes of passes");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Bytes bytes(data, size);
  const std::string cell = some_name(bytes, kCellNames, kCells);
  const Index I = some_size(bytes), H = some_size(bytes), L = some_size(bytes);
  const Index P = bytes.flag() ? some_size(bytes) : 0;
  const bool bidirectional = bytes.flag(), bias = bytes.flag(), reverse = bytes.from(0, 3) == 3;
  const double zoneout = bytes.flag() ? bytes.bits<double>() : 0.5;
  std::optional<GivenVariant> variant;
  if (bytes.flag()) {
    const GivenActivation f = some_activation(bytes), g = some_activation(bytes), h = some_activation(bytes);
    variant = {f, g, h, bytes.flag() ? bytes.bits<double>() : 1.0, bytes.flag()};
  }
  const Index given = static_cast<Index>(bytes.integer());
  try {
    const NetworkShape shape = checked_shape(cell, I, H, L, bidirectional, bias, P, variant, reverse, zoneout);
    check(shape, cell, bidirectional);
    const Index per_pass = parameters_of_pass(shape);
    EXPECT(per_pass >= 2 && per_pass <= 8, "arrays of a pass");
    require_parameters(shape, per_pass, given);
    EXPECT(given == per_pass * shape.passes(), "as many arrays as there are passes for");
  } catch (const std::invalid_argument& error) {
    EXPECT(error.what()[0] != '\0', "an error without words");
  }
  return 0;
}
