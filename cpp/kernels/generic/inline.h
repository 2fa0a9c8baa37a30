// Function attributes of the kernels.
//
// Headers in kernels/ are included by the ISAs' own files alone, each compiled with its ISA's flags. All
// they define is in anonymous namespaces and they use no standard library: an inline function with
// external linkage, compiled once for AVX-512, can be the copy that the linker keeps for every CPU.
#pragma once

#include "lstmfast/types.h"

// Whether fma() of this file's vectors rounds once. Only `scalar` for x86-64 without FMA rounds twice.
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
#define LSTMFAST_FUSED 1
#else
#define LSTMFAST_FUSED 0
#endif

#define LSTMFAST_INLINE inline __attribute__((always_inline))
// A tile must keep its accumulators in registers: as a function of its own the compiler has nothing
// else to keep there. The call costs a few nanoseconds for hundreds of multiply-adds.
#define LSTMFAST_TILE __attribute__((noinline))
// What many kernels do alike: compiled once, and called. Left to itself the compiler copies it into each of them.
#define LSTMFAST_ONCE __attribute__((noinline))
// In front of a loop over a tile's registers, whose length is known: one after the other, as if it were no loop.
#define LSTMFAST_UNROLL _Pragma("GCC unroll 16")
