#include "core/rounding.h"

#include <cmath>

#include "lstmfast/kernel_table.h"

namespace lstmfast {

float to_int8(const float* row, Index count, std::int8_t* to) {
  float largest = 0;
  for (Index k = 0; k < count; ++k) largest = std::max(largest, std::fabs(row[k]));
  const float scale = std::max(largest / 127.0f, kLeastScale);
  for (Index k = 0; k < count; ++k)
    to[k] = static_cast<std::int8_t>(std::clamp(std::nearbyint(row[k] / scale), -127.0f, 127.0f));
  return scale;
}

}  // namespace lstmfast
