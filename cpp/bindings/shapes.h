// A network's shape from a caller's arguments, checked.
#pragma once

#include <string>

#include "bindings/arrays.h"

namespace lstmfast::bindings {

// Throws std::invalid_argument.
NetworkShape checked_shape(const std::string& cell, Index input_size, Index hidden_size, Index num_layers,
                           bool bidirectional, bool bias, Index proj_size);

// That `given` arrays came where each pass has `per_pass`.
void require_parameters(const NetworkShape& shape, Index per_pass, Index given);

}  // namespace lstmfast::bindings
