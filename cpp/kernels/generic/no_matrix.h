// For ISAs without a unit that multiplies matrices (int8.h).
#pragma once

#include <stdint.h>

#include "lstmfast/types.h"

namespace lstmfast {
namespace {

struct NoMatrix {
  static constexpr Index least_rows = INTPTR_MAX;  // never enough
  static constexpr Index most_rows = 1;
};

}  // namespace
}  // namespace lstmfast
