// Whether this CPU rounds as the promise of equal bits says: everywhere but on x86-64 without FMA.
#pragma once

#include "dispatch/cpu.h"

namespace test {

inline bool rounds_as_everywhere() {
#if defined(LSTMFAST_X86)
  static const bool fma = lstmfast::detect_cpu().fma;  // asked once: CPUID is slow in virtual machines
  return fma;
#elif defined(LSTMFAST_ARM64)
  return true;
#else
  return false;
#endif
}

}  // namespace test
