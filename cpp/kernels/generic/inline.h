// Function attributes of the kernels.
//
// Headers in kernels/ are included by the ISAs' own files alone, each compiled with its ISA's flags. All
// they define is in anonymous namespaces and they use no standard library: an inline function with
// external linkage, compiled once for AVX-512, can be the copy that the linker keeps for every CPU.
#pragma once

#include "lstmfast/types.h"

#define LSTMFAST_INLINE inline __attribute__((always_inline))
// A tile must keep its accumulators in registers: as a function of its own the compiler has nothing
// else to keep there. The call costs a few nanoseconds for hundreds of multiply-adds.
#define LSTMFAST_TILE __attribute__((noinline))
