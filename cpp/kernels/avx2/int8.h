// AVX2 vectors of 8 sums of products of 8 bits, four to a sum.
//
// instruction   latency  ports (Zen 3)  used for
// vpsignb       1        2 a cycle      the activations' signs, to the weights
// vpmaddubsw    3        2 a cycle      pairs of products of magnitudes and signed weights, added in 16 bits: at most
//                                       2 * 127 * 127 < 2^15, for both sides are of 7 bits and a sign
// vpmaddwd      3        2 a cycle      by ones: pairs of those, added in 32 bits
#pragma once

#include "kernels/avx2/vec.h"

namespace lstmfast {
namespace {

struct Quads {
  using Activation = int8_t;
  struct Word {
    __m256i signs, magnitudes;
  };
  static constexpr Index together = 4;
  static constexpr int32_t offset = 0;
  // Not __m256i, which may alias anything: the compiler would store all sums at each step.
  using Sums = int32_t __attribute__((vector_size(32)));
  Sums v;

  static LSTMFAST_INLINE Quads zero() { return {Sums(_mm256_setzero_si256())}; }
  static LSTMFAST_INLINE Quads load(const int32_t* p) {
    return {Sums(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
  }
  static LSTMFAST_INLINE Word word(const Activation* p) {
    const __m256i all = _mm256_set1_epi32(word_at(p));
    return {all, _mm256_abs_epi8(all)};
  }
  static LSTMFAST_INLINE __m256i weights(const int8_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static LSTMFAST_INLINE void round(F32 x, Activation* to) {
    const __m256i whole = _mm256_cvtps_epi32(x.v);
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packs_epi16(words, words));
  }
};

LSTMFAST_INLINE Quads dot(Quads sum, Quads::Word word, __m256i weights) {
  const __m256i pairs = _mm256_maddubs_epi16(word.magnitudes, _mm256_sign_epi8(weights, word.signs));
  return {sum.v + Quads::Sums(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))};
}
LSTMFAST_INLINE F32 to_float(Quads sum) { return {_mm256_cvtepi32_ps(__m256i(sum.v))}; }

}  // namespace
}  // namespace lstmfast
