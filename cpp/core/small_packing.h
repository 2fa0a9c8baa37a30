// Weights smaller than float in the order in which the kernels read them. See kernel_table.h for the panels.
#pragma once

#include "core/packing.h"

namespace lstmfast {

// input_range: [I], or null (network.h).
ForwardPacking<float> pack_small(const NetworkShape& shape, Index input_size, const KernelTable<float>& kernels,
                                 const SmallParameters& weights, const float* input_range);

ProjectionPacking<float> pack_small_projection(const NetworkShape& shape, const KernelTable<float>& kernels,
                                               const SmallParameters& weights);

}  // namespace lstmfast
