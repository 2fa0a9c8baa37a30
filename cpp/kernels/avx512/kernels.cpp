// AVX-512 kernels: the generic ones over this folder's vectors, with tiles of 6 rows.
#if !defined(__AVX512F__) || !defined(__AVX512DQ__) || !defined(__AVX512VL__) || !defined(__AVX512BW__)
#error "compile this file with -mavx512f -mavx512dq -mavx512vl -mavx512bw -mfma"
#endif
#include "lstmfast/kernels.h"

#include "kernels/avx512/vec.h"
#include "kernels/generic/table.h"

namespace lstmfast {

extern constexpr KernelTable<float> kAvx512F32 = make_table<F32, 6>("avx512");
extern constexpr KernelTable<double> kAvx512F64 = make_table<F64, 6>("avx512");

}  // namespace lstmfast
