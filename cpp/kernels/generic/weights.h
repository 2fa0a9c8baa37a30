// Weights of 16 bits as they lie in memory. Each ISA's vectors load them widened, which is exact.
#pragma once

#include <stdint.h>

#include "kernels/generic/inline.h"

namespace lstmfast {
namespace {

struct Float16 {  // IEEE 754 binary16
  uint16_t bits;
};
struct BFloat16 {  // the upper half of a binary32
  uint16_t bits;
};

// Rounded activations that lie side by side, as 32 bits.
LSTMFAST_INLINE int32_t word_at(const void* p) {
  int32_t word;
  __builtin_memcpy(&word, p, sizeof word);
  return word;
}

}  // namespace
}  // namespace lstmfast
