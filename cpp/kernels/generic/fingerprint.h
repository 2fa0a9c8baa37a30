// A fingerprint of memory: 16 sums that change when the memory does, in one pass at the speed of reading it.
//
// Memory is read in stripes of eight 64-bit words. For each column of words there are two sums modulo 2**64:
//   plain   sum of w                                      sees any one word that changes
//   mixed   sum of low(w ^ key) * high(w ^ key)           sees where a word is: each stripe has another key
// with low and high the halves of 32 bits (the multiplication that vector units have). Sums of parts add up, so threads
// can share the work. It is no cryptographic hash: it tells accidental changes, not malicious ones. Its weakest case:
// the highest bits of two words of one column flip, and nothing else; that goes unseen with a probability of 2**-33.
#pragma once

#include <stdint.h>

#include "kernels/generic/inline.h"
#include "lstmfast/kernel_table.h"

namespace lstmfast {
namespace {

template <class W>
void fingerprint(const FingerprintPart& part) {
  // Odd numbers without pattern: digits of the golden ratio and of pi.
  constexpr uint64_t step = 0x9e3779b97f4a7c15u, column = 0x3243f6a8885a308du;
  constexpr int words = kStripeBytes / 8, vectors = words / W::lanes;
  const uint64_t first = static_cast<uint64_t>(part.begin / kStripeBytes);
  uint64_t keys[words];
  for (int j = 0; j < words; ++j) keys[j] = part.seed + static_cast<uint64_t>(j) * column + first * step;

  W key[vectors], plain[vectors], mixed[vectors];
  for (int n = 0; n < vectors; ++n) {
    key[n] = W::load(keys + n * W::lanes);
    plain[n] = mixed[n] = W::set1(0);
  }
  const auto add_stripe = [&](const unsigned char* from) {
    for (int n = 0; n < vectors; ++n) {
      const W w = W::load(from + n * W::lanes * 8);
      plain[n] = plain[n] + w;
      mixed[n] = mixed[n] + product_of_halves(w ^ key[n]);
      key[n] = key[n] + W::set1(step);
    }
  };
  const auto* const bytes = static_cast<const unsigned char*>(part.data);
  Index k = part.begin;
  for (; k + kStripeBytes <= part.end; k += kStripeBytes) {
    __builtin_prefetch(bytes + k + 1024);
    add_stripe(bytes + k);
  }
  if (k < part.end) {  // the last stripe, filled up with zeros
    unsigned char rest[kStripeBytes] = {};
    __builtin_memcpy(rest, bytes + k, static_cast<size_t>(part.end - k));
    add_stripe(rest);
  }
  for (int n = 0; n < vectors; ++n) {
    uint64_t* const to = part.sums + n * W::lanes;
    (W::load(to) + plain[n]).store(to);
    (W::load(to + words) + mixed[n]).store(to + words);
  }
}

}  // namespace
}  // namespace lstmfast
