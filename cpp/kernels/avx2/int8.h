// AVX2 vectors of 8 sums of products of 8 bits, four to a sum.
//
// instruction   latency  ports (Zen 3)  used for
// vpxor         1        4 a cycle      the activations' signs, to the weights: w ^ -1 is -w - 1
// vpmaddubsw    3        2 a cycle      pairs of products of magnitudes and signed weights, added in 16 bits: at most
//                                       2 * 127 * 128 < 2^15
// vpmaddwd      3        2 a cycle      by ones: pairs of those, added in 32 bits
//
// (vpsignb would negate, but on the two ports that the products need: 1.5 cycles for 32 weights instead of 1.3.) What
// is missing is |a| for each negative activation, whatever the weight: sums start from that.
#pragma once

#include "kernels/avx2/vec.h"
#include "kernels/generic/no_matrix.h"

namespace lstmfast {
namespace {

struct Quads {
  using Activation = int8_t;
  struct Word {
    __m256i signs, magnitudes;  // -1 or 0, 0 to 127
  };
  static constexpr Index together = 4;
  static constexpr int32_t offset = 0;
  static constexpr bool starts_by_row = true;
  using Matrix = NoMatrix;
  // Not __m256i, which may alias anything: the compiler would store all sums at each step.
  using Sums = int32_t __attribute__((vector_size(32)));
  Sums v;

  static LSTMFAST_INLINE Quads load(const int32_t* p) {
    return {Sums(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
  }
  static LSTMFAST_INLINE Word word(const Activation* p) {
    const __m256i all = _mm256_set1_epi32(word_at(p));
    return {_mm256_cmpgt_epi8(_mm256_setzero_si256(), all), _mm256_abs_epi8(all)};
  }
  static LSTMFAST_INLINE Quads set1(int32_t sum) { return {Sums(_mm256_set1_epi32(sum))}; }
  // What the sums of a row start from: the magnitudes of its negative activations. a: [n], zeros up to a whole vector.
  static LSTMFAST_INLINE int32_t row_start(const Activation* a, Index n) {
    const __m128i zero = _mm_setzero_si128();
    __m128i sum = zero;
    for (Index k = 0; k < n; k += F32::lanes) {
      const __m128i some = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(a + k));
      sum = _mm_add_epi32(sum, _mm_sad_epu8(_mm_max_epi8(_mm_sub_epi8(zero, some), zero), zero));
    }
    return _mm_cvtsi128_si32(sum);
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
  const __m256i pairs = _mm256_maddubs_epi16(word.magnitudes, _mm256_xor_si256(weights, word.signs));
  return {sum.v + Quads::Sums(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))};
}
LSTMFAST_INLINE F32 to_float(Quads sum) { return {_mm256_cvtepi32_ps(__m256i(sum.v))}; }

}  // namespace
}  // namespace lstmfast
