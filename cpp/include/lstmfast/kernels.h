// The kernel tables that were compiled in. One pair of symbols per ISA is all that its file exports.
#pragma once

#include "lstmfast/kernel_table.h"

namespace lstmfast {

extern const KernelTable<float> kScalarF32;
extern const KernelTable<double> kScalarF64;

#if defined(LSTMFAST_X86)
extern const KernelTable<float> kScalarFmaF32;
extern const KernelTable<double> kScalarFmaF64;
extern const KernelTable<float> kAvx2F32;
extern const KernelTable<double> kAvx2F64;
extern const KernelTable<float> kAvx512F32;
extern const KernelTable<double> kAvx512F64;
#endif

#if defined(LSTMFAST_ARM64)
extern const KernelTable<float> kNeonF32;
extern const KernelTable<double> kNeonF64;
#endif

}  // namespace lstmfast
