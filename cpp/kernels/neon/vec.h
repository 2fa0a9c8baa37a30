// NEON (AArch64, where it and its fma are part of every CPU): 4 floats or 2 doubles.
//
// fmax and fmin of AArch64 differ from x86 in signed zeros, so limits are compare and select.
#pragma once

#include <arm_neon.h>
#include <stdint.h>

#include "kernels/generic/inline.h"
#include "kernels/generic/weights.h"

namespace lstmfast {
namespace {

struct U64 {
  static constexpr Index lanes = 2;
  uint64x2_t v;

  static LSTMFAST_INLINE U64 set1(uint64_t w) { return {vdupq_n_u64(w)}; }
  static LSTMFAST_INLINE U64 load(const void* p) {
    return {vreinterpretq_u64_u8(vld1q_u8(static_cast<const uint8_t*>(p)))};
  }
  LSTMFAST_INLINE void store(void* p) const { vst1q_u8(static_cast<uint8_t*>(p), vreinterpretq_u8_u64(v)); }
};

LSTMFAST_INLINE U64 operator+(U64 a, U64 b) { return {vaddq_u64(a.v, b.v)}; }
LSTMFAST_INLINE U64 operator^(U64 a, U64 b) { return {veorq_u64(a.v, b.v)}; }
LSTMFAST_INLINE U64 product_of_halves(U64 a) { return {vmull_u32(vmovn_u64(a.v), vshrn_n_u64(a.v, 32))}; }

struct F32 {
  using Scalar = float;
  using Words = U64;
  static constexpr Index lanes = 4;
  float32x4_t v;

  static LSTMFAST_INLINE F32 set1(float s) { return {vdupq_n_f32(s)}; }
  static LSTMFAST_INLINE F32 load(const float* p) { return {vld1q_f32(p)}; }
  static LSTMFAST_INLINE F32 load(const Float16* p) { return {vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(&p->bits)))}; }
  static LSTMFAST_INLINE F32 load(const BFloat16* p) {
    return {vreinterpretq_f32_u32(vshlq_n_u32(vmovl_u16(vld1_u16(&p->bits)), 16))};
  }
  static LSTMFAST_INLINE F32 load_first(const float* p, Index n) {
    float full[lanes] = {};
    for (Index k = 0; k < n; ++k) full[k] = p[k];
    return load(full);
  }
  LSTMFAST_INLINE void store(float* p) const { vst1q_f32(p, v); }
  LSTMFAST_INLINE void store_first(float* p, Index n) const {
    float full[lanes];
    store(full);
    for (Index k = 0; k < n; ++k) p[k] = full[k];
  }
};

LSTMFAST_INLINE F32 operator+(F32 a, F32 b) { return {vaddq_f32(a.v, b.v)}; }
LSTMFAST_INLINE F32 operator-(F32 a, F32 b) { return {vsubq_f32(a.v, b.v)}; }
LSTMFAST_INLINE F32 operator*(F32 a, F32 b) { return {vmulq_f32(a.v, b.v)}; }
LSTMFAST_INLINE F32 operator/(F32 a, F32 b) { return {vdivq_f32(a.v, b.v)}; }
LSTMFAST_INLINE F32 fma(F32 a, F32 b, F32 c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
LSTMFAST_INLINE F32 abs(F32 a) { return {vabsq_f32(a.v)}; }
LSTMFAST_INLINE F32 copy_sign(F32 a, F32 sign) { return {vbslq_f32(vdupq_n_u32(0x80000000u), sign.v, a.v)}; }
LSTMFAST_INLINE F32 at_most(F32 a, F32 limit) { return {vbslq_f32(vcltq_f32(limit.v, a.v), limit.v, a.v)}; }
LSTMFAST_INLINE F32 at_least(F32 a, F32 limit) { return {vbslq_f32(vcgtq_f32(limit.v, a.v), limit.v, a.v)}; }
LSTMFAST_INLINE F32 select_negative(F32 sign, F32 a, F32 b) {
  return {vbslq_f32(vcltzq_s32(vreinterpretq_s32_f32(sign.v)), a.v, b.v)};
}
LSTMFAST_INLINE F32 zero_where_not_positive(F32 x, F32 a) { return {vbslq_f32(vclezq_f32(x.v), vdupq_n_f32(0), a.v)}; }
LSTMFAST_INLINE float largest_lane(F32 a) { return vmaxvq_f32(a.v); }
LSTMFAST_INLINE float sum_of_lanes(F32 a) { return vaddvq_f32(a.v); }
LSTMFAST_INLINE F32 power_of_two(F32 rounded) {
  const uint32x4_t n = vshlq_n_u32(vreinterpretq_u32_f32(rounded.v), 23);
  return {vreinterpretq_f32_u32(vaddq_u32(n, vdupq_n_u32(0x3f800000u)))};
}

struct F64 {
  using Scalar = double;
  using Words = U64;
  static constexpr Index lanes = 2;
  float64x2_t v;

  static LSTMFAST_INLINE F64 set1(double s) { return {vdupq_n_f64(s)}; }
  static LSTMFAST_INLINE F64 load(const double* p) { return {vld1q_f64(p)}; }
  static LSTMFAST_INLINE F64 load_first(const double* p, Index n) {
    double full[lanes] = {};
    for (Index k = 0; k < n; ++k) full[k] = p[k];
    return load(full);
  }
  LSTMFAST_INLINE void store(double* p) const { vst1q_f64(p, v); }
  LSTMFAST_INLINE void store_first(double* p, Index n) const {
    double full[lanes];
    store(full);
    for (Index k = 0; k < n; ++k) p[k] = full[k];
  }
};

LSTMFAST_INLINE F64 operator+(F64 a, F64 b) { return {vaddq_f64(a.v, b.v)}; }
LSTMFAST_INLINE F64 operator-(F64 a, F64 b) { return {vsubq_f64(a.v, b.v)}; }
LSTMFAST_INLINE F64 operator*(F64 a, F64 b) { return {vmulq_f64(a.v, b.v)}; }
LSTMFAST_INLINE F64 operator/(F64 a, F64 b) { return {vdivq_f64(a.v, b.v)}; }
LSTMFAST_INLINE F64 fma(F64 a, F64 b, F64 c) { return {vfmaq_f64(c.v, a.v, b.v)}; }
LSTMFAST_INLINE F64 abs(F64 a) { return {vabsq_f64(a.v)}; }
LSTMFAST_INLINE F64 copy_sign(F64 a, F64 sign) { return {vbslq_f64(vdupq_n_u64(0x8000000000000000u), sign.v, a.v)}; }
LSTMFAST_INLINE F64 at_most(F64 a, F64 limit) { return {vbslq_f64(vcltq_f64(limit.v, a.v), limit.v, a.v)}; }
LSTMFAST_INLINE F64 at_least(F64 a, F64 limit) { return {vbslq_f64(vcgtq_f64(limit.v, a.v), limit.v, a.v)}; }
LSTMFAST_INLINE F64 select_negative(F64 sign, F64 a, F64 b) {
  return {vbslq_f64(vcltzq_s64(vreinterpretq_s64_f64(sign.v)), a.v, b.v)};
}
LSTMFAST_INLINE F64 zero_where_not_positive(F64 x, F64 a) { return {vbslq_f64(vclezq_f64(x.v), vdupq_n_f64(0), a.v)}; }
LSTMFAST_INLINE F64 power_of_two(F64 rounded) {
  const uint64x2_t n = vshlq_n_u64(vreinterpretq_u64_f64(rounded.v), 52);
  return {vreinterpretq_f64_u64(vaddq_u64(n, vdupq_n_u64(0x3ff0000000000000u)))};
}

}  // namespace
}  // namespace lstmfast
