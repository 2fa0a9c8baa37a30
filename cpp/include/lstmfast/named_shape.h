// A network's shape from what others say in words and numbers, checked: Python's arguments, attributes of XLA's calls.
#pragma once

#include <optional>
#include <string>
#include <tuple>

#include "lstmfast/network.h"

namespace lstmfast {

// As ONNX names it, with alpha and beta.
using GivenActivation = std::tuple<std::string, double, double>;
// Of a variant: f, g, h, clip, and whether there are peepholes.
using GivenVariant = std::tuple<GivenActivation, GivenActivation, GivenActivation, double, bool>;

// variant: of cells that are one. Throws std::invalid_argument.
NetworkShape checked_shape(const std::string& cell, Index input_size, Index hidden_size, Index num_layers,
                           bool bidirectional, bool bias, Index proj_size, const std::optional<GivenVariant>& variant,
                           bool reverse, double zoneout);

// That `given` arrays came where each pass has `per_pass`.
void require_parameters(const NetworkShape& shape, Index per_pass, Index given);

}  // namespace lstmfast
