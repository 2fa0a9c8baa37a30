// One sum of products of 8 bits.
#pragma once

#include "kernels/generic/no_matrix.h"
#include "kernels/scalar/vec.h"

namespace lstmfast {
namespace {

struct Pairs {
  using Activation = int16_t;
  struct Word {
    int32_t first, second;
  };
  static constexpr Index together = 2;
  static constexpr int32_t offset = 0;
  static constexpr bool starts_by_row = false;
  using Matrix = NoMatrix;
  int32_t v;

  static LSTMFAST_INLINE Pairs zero() { return {0}; }
  static LSTMFAST_INLINE Pairs load(const int32_t* p) { return {*p}; }
  static LSTMFAST_INLINE Word word(const Activation* p) { return {p[0], p[1]}; }
  static LSTMFAST_INLINE Word weights(const int8_t* p) { return {p[0], p[1]}; }
  // Adding 1.5 * 2^23 rounds to an integer, to even in the middle, and leaves it in the low bits of the mantissa.
  static LSTMFAST_INLINE void round(F32 x, Activation* to) {
    const uint32_t bits = F32::bits({x.v + 12582912.0f});
    *to = static_cast<int16_t>(static_cast<int32_t>(bits & 0xffffu) - (bits & 0x8000u ? 0x10000 : 0));
  }
};

LSTMFAST_INLINE Pairs dot(Pairs sum, Pairs::Word word, Pairs::Word weights) {
  return {sum.v + (word.first * weights.first + word.second * weights.second)};
}
LSTMFAST_INLINE F32 to_float(Pairs sum) { return {static_cast<float>(sum.v)}; }

}  // namespace
}  // namespace lstmfast
