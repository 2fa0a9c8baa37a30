// Weights of 32 bits as smaller ones, the same as python/lstmfast/_small/rounding.py makes.
#pragma once

#include <cstdint>

#include "lstmfast/types.h"

namespace lstmfast {

// To nearest, to even in the middle; what is larger than the largest finite number becomes that. Must be finite.
std::uint16_t to_float16(float number);
std::uint16_t to_bfloat16(float number);  // the bits

// A row [count] as whole numbers from -127 to 127; returns what they are to be multiplied by.
float to_int8(const float* row, Index count, std::int8_t* to);

// Exact.
float from_float16(std::uint16_t bits);

}  // namespace lstmfast
