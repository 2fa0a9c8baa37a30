// AVX-512 vectors of 16 sums of products of 8 bits, by multiplication of 16-bit pairs.
//
// instruction   latency  ports      used for
// vpmaddwd      5        2 a cycle  two products, added in 32 bits, which cannot overflow
// vpmovsxbw     4        1 or 2     weights to 16 bits, once for all rows of a tile
#pragma once

#include "kernels/avx512/vec.h"
#include "kernels/generic/no_matrix.h"

namespace lstmfast {
namespace {

struct Pairs {
  using Activation = int16_t;
  using Word = __m512i;
  static constexpr Index together = 2;
  static constexpr int32_t offset = 0;
  static constexpr bool starts_by_row = false;
  using Matrix = NoMatrix;
  // Not __m512i, which may alias anything: the compiler would store all sums at each step.
  using Sums = int32_t __attribute__((vector_size(64)));
  Sums v;

  static LSTMFAST_INLINE Pairs zero() { return {Sums(_mm512_setzero_si512())}; }
  static LSTMFAST_INLINE Pairs load(const int32_t* p) { return {Sums(_mm512_loadu_si512(p))}; }
  static LSTMFAST_INLINE Word word(const Activation* p) { return _mm512_set1_epi32(word_at(p)); }
  static LSTMFAST_INLINE Word weights(const int8_t* p) {
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static LSTMFAST_INLINE void round(F32 x, Activation* to) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(x.v)));
  }
};

LSTMFAST_INLINE Pairs dot(Pairs sum, __m512i word, __m512i weights) {
  return {sum.v + Pairs::Sums(_mm512_madd_epi16(word, weights))};
}
LSTMFAST_INLINE F32 to_float(Pairs sum) { return {_mm512_cvtepi32_ps(__m512i(sum.v))}; }

}  // namespace
}  // namespace lstmfast
