// What is decided by the sizes of weights and caches, each with what it was measured by. How tiles are cut is the ISAs'
// own (TileCut); here is what the core does about weights that come from far away.
#pragma once

#include <algorithm>

#include "lstmfast/caches.h"
#include "lstmfast/kernel_table.h"

namespace lstmfast {

// Up to so many rows a step's product is bound by reading weights, and not by arithmetic.
inline constexpr Index kFewRows = 8;

// In bytes of weights: from this size on ...
struct Heuristics {
  Index ask_from;        // ... each tile asks for a part of the next panel while it works on its own.
  Index merge_few_from;  // ... steps of up to kFewRows rows make several steps' input products at once,
  Index merge_from;      // and of this one, of any number of rows.
};

// vector_bytes: of the ISA; caches: of the machine.
//
// Longer vectors: from L3 the hardware's own prefetching is fast enough, and asking costs a few percent (Zen 5, L2 1
// MiB, L3 32 MiB): only what comes from memory is worth asking for, that is what L3 cannot hold besides everything
// else. Vectors of 32 bytes (Zen 3, L2 512 KiB, L3 32 MiB): asking from 5 MiB on made B=16 and 64 at K > 900 1.13
// to 1.33 times as fast, from 1 MiB on nothing, and backward steps 3 % slower; merging at 8 MiB made B=8 1.17 to 1.45
// times as fast, B=16 and 64 there 3 to 8 % slower, at 13 MiB 8 to 15 % faster. A smaller last cache than 32 MiB sends
// weights to memory sooner. (Not measured; none of ours had one.)
//
// Longer vectors on Intel's servers, which have more L2 and an L3 that all cores share across a mesh: a core reads 30
// GB/s from it, as much as others from memory (Xeon with AMX, L2 2 MiB, L3 480 MiB). What L2 cannot hold is far away:
// forward 1.24 to 1.65 times as fast for 6 rows and more at H = 384 and 512, training 1.06 to 1.26 times at 512; fewer
// rows 1 to 1.1 times. AVX2 there does not gain from less than its 5 and 12 MiB.
constexpr Heuristics heuristics_for(Index vector_bytes, const Caches& caches) {
  constexpr Index MiB = 1 << 20;
  const Index far = caches.last() ? std::min(caches.last() / 2, 16 * MiB) : 16 * MiB;
  if (vector_bytes == 64 && caches.l3 && caches.l2 > MiB) {
    const Index beyond_l2 = std::min(far, caches.l2);
    return {beyond_l2, beyond_l2, beyond_l2};
  }
  if (vector_bytes != 32) return {far, far, far};
  return {std::min(far, 5 * MiB), std::min(far, 5 * MiB), std::min(far, 12 * MiB)};
}

template <class T>
Heuristics heuristics_for(const KernelTable<T>& kernels) {
  return heuristics_for(kernels.lanes * static_cast<Index>(sizeof(T)), caches());
}

}  // namespace lstmfast
