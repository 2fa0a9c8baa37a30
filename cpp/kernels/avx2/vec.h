// AVX2 + FMA vectors: 8 floats or 4 doubles.
//
// instruction        latency  ports (Zen 3)   used for
// vfmadd231ps        4        2 a cycle       every product
// vbroadcastss mem   -        2 a cycle       one element of a row to all lanes
// vdivps             10       1 every 3.5     sigmoid, tanh
#pragma once

#include <immintrin.h>
#include <stdint.h>

#include "kernels/generic/inline.h"
#include "kernels/generic/tile_cut.h"
#include "kernels/generic/weights.h"

namespace lstmfast {
namespace {

struct U64 {
  static constexpr Index lanes = 4;
  __m256i v;

  static LSTMFAST_INLINE U64 set1(uint64_t w) { return {_mm256_set1_epi64x(static_cast<long long>(w))}; }
  static LSTMFAST_INLINE U64 load(const void* p) { return {_mm256_loadu_si256(static_cast<const __m256i*>(p))}; }
  LSTMFAST_INLINE void store(void* p) const { _mm256_storeu_si256(static_cast<__m256i*>(p), v); }
};

LSTMFAST_INLINE U64 operator+(U64 a, U64 b) { return {_mm256_add_epi64(a.v, b.v)}; }
LSTMFAST_INLINE U64 operator^(U64 a, U64 b) { return {_mm256_xor_si256(a.v, b.v)}; }
LSTMFAST_INLINE U64 product_of_halves(U64 a) { return {_mm256_mul_epu32(a.v, _mm256_srli_epi64(a.v, 32))}; }

struct F32 {
  using Scalar = float;
  using Words = U64;
  static constexpr Index lanes = 8;
  __m256 v;

  static LSTMFAST_INLINE F32 set1(float s) { return {_mm256_set1_ps(s)}; }
  static LSTMFAST_INLINE F32 load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static LSTMFAST_INLINE F32 load(const Float16* p) {
    return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
  }
  static LSTMFAST_INLINE F32 load(const BFloat16* p) {
    const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    return {_mm256_castsi256_ps(_mm256_slli_epi32(wide, 16))};
  }
  static LSTMFAST_INLINE F32 load_first(const float* p, Index n) { return {_mm256_maskload_ps(p, first(n))}; }
  LSTMFAST_INLINE void store(float* p) const { _mm256_storeu_ps(p, v); }
  LSTMFAST_INLINE void store_first(float* p, Index n) const { _mm256_maskstore_ps(p, first(n), v); }

  static LSTMFAST_INLINE __m256i first(Index n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
};

LSTMFAST_INLINE F32 operator+(F32 a, F32 b) { return {_mm256_add_ps(a.v, b.v)}; }
LSTMFAST_INLINE F32 operator-(F32 a, F32 b) { return {_mm256_sub_ps(a.v, b.v)}; }
LSTMFAST_INLINE F32 operator*(F32 a, F32 b) { return {_mm256_mul_ps(a.v, b.v)}; }
LSTMFAST_INLINE F32 operator/(F32 a, F32 b) { return {_mm256_div_ps(a.v, b.v)}; }
LSTMFAST_INLINE F32 fma(F32 a, F32 b, F32 c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
// The sum stays in its register: left to itself the compiler multiplies into another, and copies.
LSTMFAST_INLINE void add_product(F32& sum, F32 a, F32 b) {
  asm("vfmadd231ps %2, %1, %0" : "+x"(sum.v) : "x"(a.v), "x"(b.v));
}
LSTMFAST_INLINE F32 abs(F32 a) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v)}; }
LSTMFAST_INLINE F32 copy_sign(F32 a, F32 sign) {
  const __m256 bit = _mm256_set1_ps(-0.0f);
  return {_mm256_or_ps(_mm256_andnot_ps(bit, a.v), _mm256_and_ps(bit, sign.v))};
}
// minps and maxps return their second operand when either is NaN: NaN in `a` stays.
LSTMFAST_INLINE F32 at_most(F32 a, F32 limit) { return {_mm256_min_ps(limit.v, a.v)}; }
LSTMFAST_INLINE F32 at_least(F32 a, F32 limit) { return {_mm256_max_ps(limit.v, a.v)}; }
LSTMFAST_INLINE F32 select_negative(F32 sign, F32 a, F32 b) { return {_mm256_blendv_ps(b.v, a.v, sign.v)}; }
LSTMFAST_INLINE F32 zero_where_not_positive(F32 x, F32 a) {
  return {_mm256_and_ps(_mm256_cmp_ps(x.v, _mm256_setzero_ps(), _CMP_NLE_UQ), a.v)};
}
LSTMFAST_INLINE float largest_lane(F32 a) {
  __m128 four = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  four = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
}
LSTMFAST_INLINE float sum_of_lanes(F32 a) {
  __m128 four = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  four = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}
LSTMFAST_INLINE F32 power_of_two(F32 rounded) {
  const __m256i n = _mm256_slli_epi32(_mm256_castps_si256(rounded.v), 23);
  return {_mm256_castsi256_ps(_mm256_add_epi32(n, _mm256_set1_epi32(0x3f800000)))};
}

struct F64 {
  using Scalar = double;
  using Words = U64;
  static constexpr Index lanes = 4;
  __m256d v;

  static LSTMFAST_INLINE F64 set1(double s) { return {_mm256_set1_pd(s)}; }
  static LSTMFAST_INLINE F64 load(const double* p) { return {_mm256_loadu_pd(p)}; }
  static LSTMFAST_INLINE F64 load_first(const double* p, Index n) { return {_mm256_maskload_pd(p, first(n))}; }
  LSTMFAST_INLINE void store(double* p) const { _mm256_storeu_pd(p, v); }
  LSTMFAST_INLINE void store_first(double* p, Index n) const { _mm256_maskstore_pd(p, first(n), v); }

  static LSTMFAST_INLINE __m256i first(Index n) {
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
  }
};

LSTMFAST_INLINE F64 operator+(F64 a, F64 b) { return {_mm256_add_pd(a.v, b.v)}; }
LSTMFAST_INLINE F64 operator-(F64 a, F64 b) { return {_mm256_sub_pd(a.v, b.v)}; }
LSTMFAST_INLINE F64 operator*(F64 a, F64 b) { return {_mm256_mul_pd(a.v, b.v)}; }
LSTMFAST_INLINE F64 operator/(F64 a, F64 b) { return {_mm256_div_pd(a.v, b.v)}; }
LSTMFAST_INLINE F64 fma(F64 a, F64 b, F64 c) { return {_mm256_fmadd_pd(a.v, b.v, c.v)}; }
LSTMFAST_INLINE void add_product(F64& sum, F64 a, F64 b) {
  asm("vfmadd231pd %2, %1, %0" : "+x"(sum.v) : "x"(a.v), "x"(b.v));
}
LSTMFAST_INLINE F64 abs(F64 a) { return {_mm256_andnot_pd(_mm256_set1_pd(-0.0), a.v)}; }
LSTMFAST_INLINE F64 copy_sign(F64 a, F64 sign) {
  const __m256d bit = _mm256_set1_pd(-0.0);
  return {_mm256_or_pd(_mm256_andnot_pd(bit, a.v), _mm256_and_pd(bit, sign.v))};
}
LSTMFAST_INLINE F64 at_most(F64 a, F64 limit) { return {_mm256_min_pd(limit.v, a.v)}; }
LSTMFAST_INLINE F64 at_least(F64 a, F64 limit) { return {_mm256_max_pd(limit.v, a.v)}; }
LSTMFAST_INLINE F64 select_negative(F64 sign, F64 a, F64 b) { return {_mm256_blendv_pd(b.v, a.v, sign.v)}; }
LSTMFAST_INLINE F64 zero_where_not_positive(F64 x, F64 a) {
  return {_mm256_and_pd(_mm256_cmp_pd(x.v, _mm256_setzero_pd(), _CMP_NLE_UQ), a.v)};
}
LSTMFAST_INLINE F64 power_of_two(F64 rounded) {
  const __m256i n = _mm256_slli_epi64(_mm256_castpd_si256(rounded.v), 52);
  return {_mm256_castsi256_pd(_mm256_add_epi64(n, _mm256_set1_epi64x(0x3ff0000000000000)))};
}

// Sixteen registers: twelve sums, and the factors and columns of a term. 6 rows x 2 vectors take 8 loads for 12
// products, 3 x 4 take 7, but 6 x 2 reads half of the weights per row of x, and on Zen 3 keeps 97 % of the peak from L2
// (95), 80 to 88 where the core is shared (70 to 75). Unrolled, for the loop's own instructions were a fifth of it.
// Two units with a latency of four want eight sums at least, and more to be sure of it: 4 x 2 reach 88 % of the peak on
// Zen 4, 5 x 2 91, 6 x 2 95, and 4 x 3, across panels, 94. So batches of 4 and 8 became 7 % faster, of 16 3, of 64 4.
template <class T>
struct SixRowsOfTwo {
  static constexpr int wide_rows = 3;
  static constexpr int across_rows = 4;
  static constexpr int unrolled = 4;
  static constexpr Index copied_panels = 6;
  static constexpr Index busy_rows = 3;
  static constexpr Index strip = 2;
};
template <>
struct TileCut<F32> : SixRowsOfTwo<float> {};
template <>
struct TileCut<F64> : SixRowsOfTwo<double> {};

}  // namespace
}  // namespace lstmfast
