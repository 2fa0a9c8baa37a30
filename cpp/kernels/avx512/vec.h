// AVX-512 (F, DQ, VL, BW: every server core since Skylake, Zen since 4): 16 floats or 8 doubles.
//
// instruction            latency  ports        used for
// vfmadd231ps zmm        4        2 a cycle    every product (1 a cycle where only one port is 512 bits wide)
// {1to16} memory operand -        2 a cycle    one element of a row to all lanes, inside the fma
// masks k1..k7           -        -            tails: no branch, no second loop
#pragma once

#include <immintrin.h>
#include <stdint.h>

#include "kernels/generic/inline.h"
#include "kernels/generic/weights.h"

namespace lstmfast {
namespace {

struct U64 {
  static constexpr Index lanes = 8;
  __m512i v;

  static LSTMFAST_INLINE U64 set1(uint64_t w) { return {_mm512_set1_epi64(static_cast<long long>(w))}; }
  static LSTMFAST_INLINE U64 load(const void* p) { return {_mm512_loadu_si512(p)}; }
  LSTMFAST_INLINE void store(void* p) const { _mm512_storeu_si512(p, v); }
};

LSTMFAST_INLINE U64 operator+(U64 a, U64 b) { return {_mm512_add_epi64(a.v, b.v)}; }
LSTMFAST_INLINE U64 operator^(U64 a, U64 b) { return {_mm512_xor_si512(a.v, b.v)}; }
LSTMFAST_INLINE U64 product_of_halves(U64 a) { return {_mm512_mul_epu32(a.v, _mm512_srli_epi64(a.v, 32))}; }

struct F32 {
  using Scalar = float;
  using Words = U64;
  static constexpr Index lanes = 16;
  __m512 v;

  static LSTMFAST_INLINE F32 set1(float s) { return {_mm512_set1_ps(s)}; }
  static LSTMFAST_INLINE F32 load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static LSTMFAST_INLINE F32 load(const Float16* p) {
    return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
  }
  static LSTMFAST_INLINE F32 load(const BFloat16* p) {
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
  }
  static LSTMFAST_INLINE F32 load_first(const float* p, Index n) { return {_mm512_maskz_loadu_ps(first(n), p)}; }
  LSTMFAST_INLINE void store(float* p) const { _mm512_storeu_ps(p, v); }
  LSTMFAST_INLINE void store_first(float* p, Index n) const { _mm512_mask_storeu_ps(p, first(n), v); }

  static LSTMFAST_INLINE __mmask16 first(Index n) { return static_cast<__mmask16>((1u << n) - 1u); }
};

LSTMFAST_INLINE F32 operator+(F32 a, F32 b) { return {_mm512_add_ps(a.v, b.v)}; }
LSTMFAST_INLINE F32 operator-(F32 a, F32 b) { return {_mm512_sub_ps(a.v, b.v)}; }
LSTMFAST_INLINE F32 operator*(F32 a, F32 b) { return {_mm512_mul_ps(a.v, b.v)}; }
LSTMFAST_INLINE F32 operator/(F32 a, F32 b) { return {_mm512_div_ps(a.v, b.v)}; }
LSTMFAST_INLINE F32 fma(F32 a, F32 b, F32 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
LSTMFAST_INLINE F32 abs(F32 a) { return {_mm512_andnot_ps(_mm512_set1_ps(-0.0f), a.v)}; }
LSTMFAST_INLINE F32 copy_sign(F32 a, F32 sign) {
  const __m512 bit = _mm512_set1_ps(-0.0f);
  return {_mm512_or_ps(_mm512_andnot_ps(bit, a.v), _mm512_and_ps(bit, sign.v))};
}
// vminps and vmaxps return their second operand when either is NaN: NaN in `a` stays.
LSTMFAST_INLINE F32 at_most(F32 a, F32 limit) { return {_mm512_min_ps(limit.v, a.v)}; }
LSTMFAST_INLINE F32 at_least(F32 a, F32 limit) { return {_mm512_max_ps(limit.v, a.v)}; }
LSTMFAST_INLINE F32 select_negative(F32 sign, F32 a, F32 b) {
  return {_mm512_mask_blend_ps(_mm512_movepi32_mask(_mm512_castps_si512(sign.v)), b.v, a.v)};
}
LSTMFAST_INLINE F32 zero_where_not_positive(F32 x, F32 a) {
  return {_mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x.v, _mm512_setzero_ps(), _CMP_NLE_UQ), a.v)};
}
LSTMFAST_INLINE float largest_lane(F32 a) { return _mm512_reduce_max_ps(a.v); }
LSTMFAST_INLINE float sum_of_lanes(F32 a) { return _mm512_reduce_add_ps(a.v); }
LSTMFAST_INLINE F32 power_of_two(F32 rounded) {
  const __m512i n = _mm512_slli_epi32(_mm512_castps_si512(rounded.v), 23);
  return {_mm512_castsi512_ps(_mm512_add_epi32(n, _mm512_set1_epi32(0x3f800000)))};
}

struct F64 {
  using Scalar = double;
  using Words = U64;
  static constexpr Index lanes = 8;
  __m512d v;

  static LSTMFAST_INLINE F64 set1(double s) { return {_mm512_set1_pd(s)}; }
  static LSTMFAST_INLINE F64 load(const double* p) { return {_mm512_loadu_pd(p)}; }
  static LSTMFAST_INLINE F64 load_first(const double* p, Index n) { return {_mm512_maskz_loadu_pd(first(n), p)}; }
  LSTMFAST_INLINE void store(double* p) const { _mm512_storeu_pd(p, v); }
  LSTMFAST_INLINE void store_first(double* p, Index n) const { _mm512_mask_storeu_pd(p, first(n), v); }

  static LSTMFAST_INLINE __mmask8 first(Index n) { return static_cast<__mmask8>((1u << n) - 1u); }
};

LSTMFAST_INLINE F64 operator+(F64 a, F64 b) { return {_mm512_add_pd(a.v, b.v)}; }
LSTMFAST_INLINE F64 operator-(F64 a, F64 b) { return {_mm512_sub_pd(a.v, b.v)}; }
LSTMFAST_INLINE F64 operator*(F64 a, F64 b) { return {_mm512_mul_pd(a.v, b.v)}; }
LSTMFAST_INLINE F64 operator/(F64 a, F64 b) { return {_mm512_div_pd(a.v, b.v)}; }
LSTMFAST_INLINE F64 fma(F64 a, F64 b, F64 c) { return {_mm512_fmadd_pd(a.v, b.v, c.v)}; }
LSTMFAST_INLINE F64 abs(F64 a) { return {_mm512_andnot_pd(_mm512_set1_pd(-0.0), a.v)}; }
LSTMFAST_INLINE F64 copy_sign(F64 a, F64 sign) {
  const __m512d bit = _mm512_set1_pd(-0.0);
  return {_mm512_or_pd(_mm512_andnot_pd(bit, a.v), _mm512_and_pd(bit, sign.v))};
}
LSTMFAST_INLINE F64 at_most(F64 a, F64 limit) { return {_mm512_min_pd(limit.v, a.v)}; }
LSTMFAST_INLINE F64 at_least(F64 a, F64 limit) { return {_mm512_max_pd(limit.v, a.v)}; }
LSTMFAST_INLINE F64 select_negative(F64 sign, F64 a, F64 b) {
  return {_mm512_mask_blend_pd(_mm512_movepi64_mask(_mm512_castpd_si512(sign.v)), b.v, a.v)};
}
LSTMFAST_INLINE F64 zero_where_not_positive(F64 x, F64 a) {
  return {_mm512_maskz_mov_pd(_mm512_cmp_pd_mask(x.v, _mm512_setzero_pd(), _CMP_NLE_UQ), a.v)};
}
LSTMFAST_INLINE F64 power_of_two(F64 rounded) {
  const __m512i n = _mm512_slli_epi64(_mm512_castpd_si512(rounded.v), 52);
  return {_mm512_castsi512_pd(_mm512_add_epi64(n, _mm512_set1_epi64(0x3ff0000000000000)))};
}

}  // namespace
}  // namespace lstmfast
