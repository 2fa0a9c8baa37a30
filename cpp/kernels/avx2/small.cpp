// AVX2 kernels for weights smaller than float.
#if !defined(__AVX2__) || !defined(__FMA__) || !defined(__F16C__)
#error "compile this file with -mavx2 -mfma -mf16c"
#endif
#include "lstmfast/kernels.h"

#include "kernels/avx2/int8.h"
#include "kernels/generic/small_tables.h"

namespace lstmfast {

extern constexpr KernelTable<float> kAvx2F16 = make_half_table<F32, Float16, 6>("avx2");
extern constexpr KernelTable<float> kAvx2BF16 = make_half_table<F32, BFloat16, 6>("avx2");
extern constexpr KernelTable<float> kAvx2I8 = make_int8_table<F32, Quads, 2>("avx2");

}  // namespace lstmfast
