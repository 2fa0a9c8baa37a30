// One lane: what every other ISA is compared with.
//
// Compiled twice on x86-64: for CPUs with FMA, where it gives the same bits as the vector ISAs, and for
// those without, where product and sum round separately.
#pragma once

#include <stdint.h>

#include "kernels/generic/inline.h"
#include "kernels/generic/weights.h"

namespace lstmfast {
namespace {

struct U64 {
  static constexpr Index lanes = 1;
  uint64_t v;

  static LSTMFAST_INLINE U64 set1(uint64_t w) { return {w}; }
  static LSTMFAST_INLINE U64 load(const void* p) {
    U64 a;
    __builtin_memcpy(&a.v, p, sizeof a.v);
    return a;
  }
  LSTMFAST_INLINE void store(void* p) const { __builtin_memcpy(p, &v, sizeof v); }
};

LSTMFAST_INLINE U64 operator+(U64 a, U64 b) { return {a.v + b.v}; }
LSTMFAST_INLINE U64 operator^(U64 a, U64 b) { return {a.v ^ b.v}; }
LSTMFAST_INLINE U64 product_of_halves(U64 a) { return {(a.v & 0xffffffffu) * (a.v >> 32)}; }

// Both types differ in their names only: Float, and Bits, the unsigned integer of the same size.
template <class Float, class Bits, int mantissa, Bits one_bits>
struct ScalarVec {
  using Scalar = Float;
  using Words = U64;
  static constexpr Index lanes = 1;
  static constexpr Bits sign_bit = Bits(1) << (sizeof(Bits) * 8 - 1);
  Float v;

  static LSTMFAST_INLINE ScalarVec set1(Float s) { return {s}; }
  static LSTMFAST_INLINE ScalarVec load(const Float* p) { return {*p}; }
  // Exponents are counted from 15 there and from 127 here: a product by 2^112, which makes denormals normal, too.
  static LSTMFAST_INLINE ScalarVec load(const Float16* p) {
    const Bits magnitude = static_cast<Bits>(p->bits & 0x7fffu) << 13, sign = static_cast<Bits>(p->bits & 0x8000u)
                                                                              << 16;
    return from_bits(bits({from_bits(magnitude).v * 5.192296858534828e33f}) | sign);
  }
  static LSTMFAST_INLINE ScalarVec load(const BFloat16* p) { return from_bits(static_cast<Bits>(p->bits) << 16); }
  static LSTMFAST_INLINE ScalarVec load_first(const Float* p, Index) { return {*p}; }
  LSTMFAST_INLINE void store(Float* p) const { *p = v; }
  LSTMFAST_INLINE void store_first(Float* p, Index) const { *p = v; }

  static LSTMFAST_INLINE Bits bits(ScalarVec a) {
    Bits b;
    __builtin_memcpy(&b, &a.v, sizeof b);
    return b;
  }
  static LSTMFAST_INLINE ScalarVec from_bits(Bits b) {
    ScalarVec a;
    __builtin_memcpy(&a.v, &b, sizeof b);
    return a;
  }

  friend LSTMFAST_INLINE ScalarVec operator+(ScalarVec a, ScalarVec b) { return {a.v + b.v}; }
  friend LSTMFAST_INLINE ScalarVec operator-(ScalarVec a, ScalarVec b) { return {a.v - b.v}; }
  friend LSTMFAST_INLINE ScalarVec operator*(ScalarVec a, ScalarVec b) { return {a.v * b.v}; }
  friend LSTMFAST_INLINE ScalarVec operator/(ScalarVec a, ScalarVec b) { return {a.v / b.v}; }
  friend LSTMFAST_INLINE ScalarVec abs(ScalarVec a) { return from_bits(bits(a) & ~sign_bit); }
  friend LSTMFAST_INLINE ScalarVec copy_sign(ScalarVec a, ScalarVec sign) {
    return from_bits((bits(a) & ~sign_bit) | (bits(sign) & sign_bit));
  }
  friend LSTMFAST_INLINE ScalarVec at_most(ScalarVec a, ScalarVec limit) { return limit.v < a.v ? limit : a; }
  friend LSTMFAST_INLINE ScalarVec at_least(ScalarVec a, ScalarVec limit) { return limit.v > a.v ? limit : a; }
  friend LSTMFAST_INLINE ScalarVec select_negative(ScalarVec sign, ScalarVec a, ScalarVec b) {
    return bits(sign) & sign_bit ? a : b;
  }
  friend LSTMFAST_INLINE ScalarVec zero_where_not_positive(ScalarVec x, ScalarVec a) {
    return {x.v <= 0 ? Float(0) : a.v};
  }
  friend LSTMFAST_INLINE ScalarVec power_of_two(ScalarVec rounded) {
    return from_bits(Bits(bits(rounded) << mantissa) + one_bits);
  }
};

using F32 = ScalarVec<float, uint32_t, 23, 0x3f800000u>;
using F64 = ScalarVec<double, uint64_t, 52, 0x3ff0000000000000u>;

LSTMFAST_INLINE float largest_lane(F32 a) { return a.v; }
LSTMFAST_INLINE float sum_of_lanes(F32 a) { return a.v; }

#if LSTMFAST_FUSED
LSTMFAST_INLINE F32 fma(F32 a, F32 b, F32 c) { return {__builtin_fmaf(a.v, b.v, c.v)}; }
LSTMFAST_INLINE F64 fma(F64 a, F64 b, F64 c) { return {__builtin_fma(a.v, b.v, c.v)}; }
#else
LSTMFAST_INLINE F32 fma(F32 a, F32 b, F32 c) { return {a.v * b.v + c.v}; }
LSTMFAST_INLINE F64 fma(F64 a, F64 b, F64 c) { return {a.v * b.v + c.v}; }
#endif

}  // namespace
}  // namespace lstmfast
