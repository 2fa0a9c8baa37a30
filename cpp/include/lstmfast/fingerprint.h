// Whether weights are still those that were packed: a fingerprint of them where they lie.
#pragma once

#include <array>
#include <cstdint>

#include "lstmfast/kernel_table.h"

namespace lstmfast {

// Memory that somebody else may have written to.
struct Piece {
  const void* data;
  Index bytes;
};

using Fingerprint = std::array<std::uint64_t, kFingerprintSums>;

// Of several pieces in their order; equal for equal contents, whatever the ISA and the number of threads.
Fingerprint fingerprint_of(const Piece* pieces, Index count, void (*kernel)(const FingerprintPart&));

}  // namespace lstmfast
