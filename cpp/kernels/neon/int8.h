// NEON vectors of 4 sums of products of 8 bits, by multiplication of 16-bit numbers.
#pragma once

#include "kernels/generic/no_matrix.h"
#include "kernels/neon/vec.h"

namespace lstmfast {
namespace {

struct Pairs {
  using Activation = int16_t;
  using Word = int16x8_t;
  static constexpr Index together = 2;
  static constexpr int32_t offset = 0;
  static constexpr bool starts_by_row = false;
  using Matrix = NoMatrix;
  int32x4_t v;

  static LSTMFAST_INLINE Pairs zero() { return {vdupq_n_s32(0)}; }
  static LSTMFAST_INLINE Pairs load(const int32_t* p) { return {vld1q_s32(p)}; }
  static LSTMFAST_INLINE Word word(const Activation* p) { return vreinterpretq_s16_s32(vdupq_n_s32(word_at(p))); }
  static LSTMFAST_INLINE Word weights(const int8_t* p) { return vmovl_s8(vld1_s8(p)); }
  static LSTMFAST_INLINE void round(F32 x, Activation* to) { vst1_s16(to, vmovn_s32(vcvtnq_s32_f32(x.v))); }
};

// Products of 32 bits, those of a column side by side.
LSTMFAST_INLINE Pairs dot(Pairs sum, int16x8_t word, int16x8_t weights) {
  const int32x4_t low = vmull_s16(vget_low_s16(word), vget_low_s16(weights));
  const int32x4_t high = vmull_high_s16(word, weights);
  return {vaddq_s32(sum.v, vpaddq_s32(low, high))};
}
LSTMFAST_INLINE F32 to_float(Pairs sum) { return {vcvtq_f32_s32(sum.v)}; }

}  // namespace
}  // namespace lstmfast
