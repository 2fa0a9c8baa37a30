#include "core/rounding.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "lstmfast/kernel_table.h"

namespace lstmfast {
namespace {

std::uint32_t bits_of(float number) {
  std::uint32_t bits;
  std::memcpy(&bits, &number, sizeof bits);
  return bits;
}

float from_bits(std::uint32_t bits) {
  float number;
  std::memcpy(&number, &bits, sizeof number);
  return number;
}

// The sum's last bit is the magnitude's: it ends where float16 numbers of the least exponent do, 2**-24.
constexpr float kHalfDenormals = 0.5f;

}  // namespace

std::uint16_t to_float16(float number) {
  const std::uint32_t bits = bits_of(number), sign = bits >> 16 & 0x8000u;
  const float magnitude = from_bits(bits & 0x7fffffffu);
  std::uint32_t rounded;
  if (magnitude < 0x1p-14f) {
    rounded = bits_of(magnitude + kHalfDenormals) - bits_of(kHalfDenormals);
  } else {
    const std::uint32_t low = bits & 0x7fffffffu;
    rounded = ((low + 0xfffu + (low >> 13 & 1u)) >> 13) - (112u << 10);  // 112: between the exponents' biases
  }
  return static_cast<std::uint16_t>(sign | std::min(rounded, 0x7bffu));
}

float from_float16(std::uint16_t bits) {
  const std::uint32_t sign = (bits & 0x8000u) << 16, rest = bits & 0x7fffu;
  if (rest < 0x400u) return from_bits(bits_of(static_cast<float>(rest) * 0x1p-24f) | sign);
  if (rest >= 0x7c00u) return from_bits(sign | 0x7f800000u | (rest & 0x3ffu) << 13);
  return from_bits(sign | ((rest << 13) + (112u << 23)));
}

std::uint16_t to_bfloat16(float number) {
  const std::uint32_t bits = bits_of(number), low = bits & 0x7fffffffu;
  const std::uint32_t rounded = (low + 0x7fffu + (low >> 16 & 1u)) >> 16;
  return static_cast<std::uint16_t>((bits >> 16 & 0x8000u) | std::min(rounded, 0x7f7fu));
}

float to_int8(const float* row, Index count, std::int8_t* to) {
  float largest = 0;
  for (Index k = 0; k < count; ++k) largest = std::max(largest, std::fabs(row[k]));
  const float scale = std::max(largest / 127.0f, kLeastScale);
  for (Index k = 0; k < count; ++k)
    to[k] = static_cast<std::int8_t>(std::clamp(std::nearbyint(row[k] / scale), -127.0f, 127.0f));
  return scale;
}

}  // namespace lstmfast
