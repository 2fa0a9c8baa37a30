// AVX2 vectors of 8 sums of products of 8 bits, by multiplication of 16-bit pairs.
//
// instruction   latency  ports (Zen 3)  used for
// vpmaddwd      3        2 a cycle      two products, added in 32 bits, which cannot overflow
// vpmovsxbw     4        1 a cycle      weights to 16 bits, once for all rows of a tile
#pragma once

#include "kernels/avx2/vec.h"

namespace lstmfast {
namespace {

struct Pairs {
  using Activation = int16_t;
  using Word = __m256i;
  static constexpr Index together = 2;
  static constexpr int32_t offset = 0;
  // Not __m256i, which may alias anything: the compiler would store all sums at each step.
  using Sums = int32_t __attribute__((vector_size(32)));
  Sums v;

  static LSTMFAST_INLINE Pairs zero() { return {Sums(_mm256_setzero_si256())}; }
  static LSTMFAST_INLINE Pairs load(const int32_t* p) {
    return {Sums(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
  }
  static LSTMFAST_INLINE Word word(const Activation* p) {
    int32_t both;
    __builtin_memcpy(&both, p, sizeof both);
    return _mm256_set1_epi32(both);
  }
  static LSTMFAST_INLINE Word weights(const int8_t* p) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static LSTMFAST_INLINE void round(F32 x, Activation* to) {
    const __m256i whole = _mm256_cvtps_epi32(x.v);
    const __m128i narrow = _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), narrow);
  }
};

LSTMFAST_INLINE Pairs dot(Pairs sum, __m256i word, __m256i weights) {
  return {sum.v + Pairs::Sums(_mm256_madd_epi16(word, weights))};
}
LSTMFAST_INLINE F32 to_float(Pairs sum) { return {_mm256_cvtepi32_ps(__m256i(sum.v))}; }

}  // namespace
}  // namespace lstmfast
