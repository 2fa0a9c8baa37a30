// AVX-512 with VNNI: vectors of 16 sums of products of 8 bits, four to a sum by one instruction.
//
// instruction   latency  ports      used for
// vpdpbusd      5        2 a cycle  four products of an unsigned and a signed byte, added in 32 bits, not saturated
#pragma once

#include "kernels/avx512/vec.h"
#include "kernels/generic/no_matrix.h"

namespace lstmfast {
namespace {

// M: what multiplies many rows instead.
template <class M>
struct QuadsOr {
  using Matrix = M;
  using Activation = uint8_t;
  using Word = __m512i;
  static constexpr Index together = 4;
  static constexpr int32_t offset = kInt8Offset;
  static constexpr bool starts_by_row = false;
  // Not __m512i, which may alias anything: the compiler would store all sums at each step.
  using Sums = int32_t __attribute__((vector_size(64)));
  Sums v;

  static LSTMFAST_INLINE QuadsOr zero() { return {Sums(_mm512_setzero_si512())}; }
  static LSTMFAST_INLINE QuadsOr load(const int32_t* p) { return {Sums(_mm512_loadu_si512(p))}; }
  static LSTMFAST_INLINE Word word(const Activation* p) { return _mm512_set1_epi32(word_at(p)); }
  static LSTMFAST_INLINE Word weights(const int8_t* p) { return _mm512_loadu_si512(p); }
  static LSTMFAST_INLINE void round(F32 x, Activation* to) {
    const __m512i whole = _mm512_add_epi32(_mm512_cvtps_epi32(x.v), _mm512_set1_epi32(offset));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(whole));
  }
};

template <class M>
LSTMFAST_INLINE QuadsOr<M> dot(QuadsOr<M> sum, __m512i word, __m512i weights) {
  return {typename QuadsOr<M>::Sums(_mm512_dpbusd_epi32(__m512i(sum.v), word, weights))};
}
template <class M>
LSTMFAST_INLINE F32 to_float(QuadsOr<M> sum) {
  return {_mm512_cvtepi32_ps(__m512i(sum.v))};
}

using Quads = QuadsOr<NoMatrix>;

}  // namespace
}  // namespace lstmfast
