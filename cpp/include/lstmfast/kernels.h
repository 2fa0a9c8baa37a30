// The kernel tables that were compiled in: all that an ISA's files export.
#pragma once

#include "lstmfast/kernel_table.h"

namespace lstmfast {

extern const KernelTable<float> kScalarF32;
extern const KernelTable<double> kScalarF64;
extern const KernelTable<float> kScalarF16;
extern const KernelTable<float> kScalarBF16;
extern const KernelTable<float> kScalarI8;

#if defined(LSTMFAST_X86)
extern const KernelTable<float> kScalarFmaF32;
extern const KernelTable<double> kScalarFmaF64;
extern const KernelTable<float> kScalarFmaF16;
extern const KernelTable<float> kScalarFmaBF16;
extern const KernelTable<float> kScalarFmaI8;
extern const KernelTable<float> kAvx2F32;
extern const KernelTable<double> kAvx2F64;
extern const KernelTable<float> kAvx2F16;
extern const KernelTable<float> kAvx2BF16;
extern const KernelTable<float> kAvx2I8;
extern const KernelTable<float> kAvx512F32;
extern const KernelTable<double> kAvx512F64;
extern const KernelTable<float> kAvx512F16;
extern const KernelTable<float> kAvx512BF16;
extern const KernelTable<float> kAvx512I8;
extern const KernelTable<float> kAvx512VnniI8;
#if defined(LSTMFAST_AMX)
extern const KernelTable<float> kAvx512AmxI8;
#endif
#endif

#if defined(LSTMFAST_ARM64)
extern const KernelTable<float> kNeonF32;
extern const KernelTable<double> kNeonF64;
extern const KernelTable<float> kNeonF16;
extern const KernelTable<float> kNeonBF16;
extern const KernelTable<float> kNeonI8;
#endif

}  // namespace lstmfast
