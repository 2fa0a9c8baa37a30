// Numbers of 32 bits as smaller ones, and back: weights are rounded as python/lstmfast/_small/rounding.py does it.
//
// Without branches, for compilers to do some at a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "lstmfast/types.h"

namespace lstmfast {

inline std::uint32_t bits_of(float number) {
  std::uint32_t bits;
  std::memcpy(&bits, &number, sizeof bits);
  return bits;
}
inline float float_of(std::uint32_t bits) {
  float number;
  std::memcpy(&number, &bits, sizeof number);
  return number;
}

inline constexpr std::uint32_t kHalfInfinity = 0x7c00;

// The magnitude, to nearest, to even in the middle; kHalfInfinity or more where the number is too large, or none.
inline std::uint32_t half_magnitude(float number) {
  const std::uint32_t low = bits_of(number) & 0x7fffffffu;
  const std::uint32_t normal = ((low + 0xfffu + (low >> 13 & 1u)) >> 13) - (112u << 10);  // 112: between the biases
  // The last bit of 0.5 + x is 2**-24, which is that of float16's least numbers.
  const std::uint32_t least = bits_of(float_of(low) + 0.5f) - bits_of(0.5f);
  return low < bits_of(0x1p-14f) ? least : normal;
}
inline std::uint32_t half_sign(float number) { return bits_of(number) >> 16 & 0x8000u; }

// A weight, which is finite; what is larger than the largest finite number becomes that.
inline std::uint16_t to_float16(float number) {
  return static_cast<std::uint16_t>(half_sign(number) | std::min(half_magnitude(number), kHalfInfinity - 1));
}
inline std::uint16_t to_bfloat16(float number) {  // the bits
  const std::uint32_t bits = bits_of(number), low = bits & 0x7fffffffu;
  const std::uint32_t rounded = (low + 0x7fffu + (low >> 16 & 1u)) >> 16;
  return static_cast<std::uint16_t>((bits >> 16 & 0x8000u) | std::min(rounded, 0x7f7fu));
}

// Any number, as IEEE 754 has it: what is too large becomes infinite, and NaN stays one.
inline std::uint16_t cast_to_float16(float number) {
  const std::uint32_t found = std::min(half_magnitude(number), kHalfInfinity);
  const bool none = (bits_of(number) & 0x7fffffffu) > 0x7f800000u;
  return static_cast<std::uint16_t>(half_sign(number) | (none ? kHalfInfinity | 0x200u : found));
}
// Exact.
inline float from_float16(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000u) << 16, rest = half & 0x7fffu;
  const std::uint32_t finite = bits_of(float_of(rest << 13) * 0x1p112f);
  return float_of(sign | (rest >= kHalfInfinity ? 0x7f800000u | rest << 13 : finite));
}

// A row [count] of weights as whole numbers from -127 to 127; returns what they are to be multiplied by.
float to_int8(const float* row, Index count, std::int8_t* to);

}  // namespace lstmfast
