// NEON kernels for weights smaller than float.
#if !defined(__aarch64__)
#error "NEON kernels are for AArch64"
#endif
#include "lstmfast/kernels.h"

#include "kernels/generic/small_tables.h"
#include "kernels/neon/int8.h"

namespace lstmfast {

extern constexpr KernelTable<float> kNeonF16 = make_half_table<F32, Float16, 6>("neon");
extern constexpr KernelTable<float> kNeonBF16 = make_half_table<F32, BFloat16, 6>("neon");
extern constexpr KernelTable<float> kNeonI8 = make_int8_table<F32, Pairs, 6>("neon");

}  // namespace lstmfast
