// Weights of 16 bits as they lie in memory. Each ISA's vectors load them widened, which is exact.
#pragma once

#include <stdint.h>

namespace lstmfast {
namespace {

struct Float16 {  // IEEE 754 binary16
  uint16_t bits;
};
struct BFloat16 {  // the upper half of a binary32
  uint16_t bits;
};

}  // namespace
}  // namespace lstmfast
