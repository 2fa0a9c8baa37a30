// AVX-512 kernels for weights smaller than float.
#if !defined(__AVX512F__) || !defined(__AVX512DQ__) || !defined(__AVX512VL__) || !defined(__AVX512BW__)
#error "compile this file with -mavx512f -mavx512dq -mavx512vl -mavx512bw -mfma"
#endif
#include "lstmfast/kernels.h"

#include "kernels/avx512/int8.h"
#include "kernels/generic/small_tables.h"

namespace lstmfast {

extern constexpr KernelTable<float> kAvx512F16 = make_half_table<F32, Float16, 6>("avx512");
extern constexpr KernelTable<float> kAvx512BF16 = make_half_table<F32, BFloat16, 6>("avx512");
extern constexpr KernelTable<float> kAvx512I8 = make_int8_table<F32, Pairs, 6>("avx512");

}  // namespace lstmfast
